"""A throw-away PostgreSQL for one test run, reached by a socket in a folder of its own, then deleted."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

SETTINGS = {
    "listen_addresses": "''",  # the socket only: no port to collide with another run
    "fsync": "off",  # nothing here outlives the run
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "120",
}


class NoPostgreSQL(RuntimeError):
    """No PostgreSQL that starts was found; the message says what to type."""


class Cluster:
    """A running server. ``url`` is its DATABASE_URL.

    One in a folder that is given is kept: `halt` ends it, and the next one there goes on with its data.
    """

    def __init__(self, kept: Path | None = None) -> None:
        self._as_user = _server_user()
        self._folder = _folder_for(self._as_user) if kept is None else _kept_folder(kept, self._as_user)
        there = (self._folder / "data").exists()
        try:
            self._binaries = _find_binaries(self._as_user, self._folder)
            if there:
                self.resume()
            else:
                self._start()
        except BaseException:
            if not there:
                shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={quote(str(self._folder), safe='')}"

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self._folder, ignore_errors=True)

    def halt(self, *, orderly: bool = False) -> None:
        """As if the machine had lost its power; `resume` starts it again with what was committed.

        Without `fsync` only an orderly halt is sure to leave all of it on the disk.
        """
        data, mode = self._folder / "data", "fast" if orderly else "immediate"
        self._run("pg_ctl", "stop", "--pgdata", data, "--mode", mode, "--timeout=600", "--wait", check=False)

    def _start(self) -> None:
        data = self._folder / "data"
        self._run(
            "initdb", "--pgdata", data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"
        )
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = {value}\n" for name, value in SETTINGS.items())
            configuration.write(f"unix_socket_directories = '{self._folder}'\n")
        self.resume()

    def resume(self) -> None:
        data = self._folder / "data"
        self._run(
            "pg_ctl", "start", "--pgdata", data, "--log", self._folder / "log", "--wait", "--timeout=60"
        )

    def _run(self, program: str, *arguments: str | Path, check: bool = True) -> None:
        command = [self._binaries / program, *arguments]
        # Output goes to a file: the server inherits the descriptors, and a pipe would never see its end.
        with (self._folder / "commands.log").open("ab") as log:
            done = subprocess.run(command, cwd=self._folder, stdout=log, stderr=log, **self._as_user)
        if check and done.returncode:
            raise NoPostgreSQL(f"{program} failed:\n{(self._folder / 'commands.log').read_text()[-2000:]}")


def _server_user() -> dict[str, Any]:
    """The arguments of ``subprocess.run`` that leave root behind, which PostgreSQL refuses to run as."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoPostgreSQL("PostgreSQL does not run as root, and there is neither a user postgres nor nobody.")


def _folder_for(as_user: dict[str, Any]) -> Path:
    """A new folder that the server's user can reach; the root of the temporary files may be closed to it."""
    for root in dict.fromkeys([tempfile.gettempdir(), "/tmp", "/var/tmp"]):  # noqa: S108 (mkdtemp picks the name)
        if not Path(root).is_dir():
            continue
        folder = Path(tempfile.mkdtemp(prefix="pg-", dir=root))
        if as_user:
            os.chown(folder, as_user["user"], as_user["group"])
        if _succeeds(["test", "-w", str(folder)], Path("/"), as_user):
            return folder
        folder.rmdir()
    raise NoPostgreSQL("No folder for temporary files is open to the user that PostgreSQL would run as.")


def _kept_folder(folder: Path, as_user: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if as_user:
        os.chown(folder, as_user["user"], as_user["group"])
    return folder


def _find_binaries(as_user: dict[str, Any], folder: Path) -> Path:
    """The newest installation whose programs really run as the server's user."""
    for directory in _candidates():
        programs = [directory / name for name in ("initdb", "pg_ctl", "postgres")]
        if all(_succeeds([str(program), "--version"], folder, as_user) for program in programs):
            return directory
    raise NoPostgreSQL("PostgreSQL is not installed. Type: sudo apt-get install -y postgresql")


def _candidates() -> Iterator[Path]:
    debian = Path("/usr/lib/postgresql").glob("*/bin")  # Debian keeps the servers' programs out of PATH
    yield from sorted(debian, key=lambda directory: float(directory.parent.name), reverse=True)
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent


def _succeeds(command: list[str], folder: Path, as_user: dict[str, Any]) -> bool:
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, **as_user).returncode == 0
    except OSError:
        return False
