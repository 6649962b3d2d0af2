"""All that the service cannot make anew in one file: database, trained models, labelled images, data sets.

The archive is a tar: `database.dump` (pg_dump) or `database.sqlite3`, `files/…`, and `manifest.json` with the
SHA-256 of each. Images of solves are not in it, which are kept for an hour; nor are settings: keep `.env`
elsewhere.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, connections
from django.utils import timezone

from accounts import append_only
from accounts.models import User
from accounts.selectors import drifting_accounts

MANIFEST = "manifest.json"
PREFIX = "captcha-"
Progress = Callable[[Iterable[tuple[str, Path]], int], Iterable[tuple[str, Path]]]
"""Wraps so many files, each with its name in the archive, in a progress bar."""


class BackupError(Exception):
    """Nothing was backed up or restored; the message says why and what to do."""


def roots() -> dict[str, Path]:
    """By its name in the archive each folder of files that is backed up."""
    return {
        "artifacts": Path(settings.ARTIFACTS_ROOT),
        "samples": Path(settings.SAMPLES_ROOT),
        "datasets": Path(settings.DATASETS_ROOT),
    }


def in_silence(items: Iterable[tuple[str, Path]], total: int) -> Iterable[tuple[str, Path]]:
    """A progress that shows nothing."""
    return items


def make(folder: Path, *, progress: Progress = in_silence) -> Path:
    """Write a new archive into the folder and return its path. A half written one never has the final name.

    The database comes first: a file that was added since is in the archive without a row, and harms nobody.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{PREFIX}{timezone.now():%Y%m%dT%H%M%S%fZ}.tar"
    with tempfile.TemporaryDirectory(dir=folder) as work:
        sums: dict[str, str] = {}
        partial = Path(work) / "partial"
        with tarfile.open(partial, "w") as archive:
            _add(archive, _dump(Path(work)), sums)
            files = [
                (f"files/{name}/{file.relative_to(root)}", file)
                for name, root in roots().items()
                for file in sorted(path for path in root.rglob("*") if path.is_file())
            ]
            for name, file in progress(files, len(files)):
                _add(archive, file, sums, name)
            manifest = Path(work) / MANIFEST
            manifest.write_text(json.dumps({"database": connection.vendor, "sha256": sums}, indent=1))
            archive.add(manifest, MANIFEST)
        partial.chmod(0o600)
        with partial.open("rb") as file_on_disk:
            os.fsync(file_on_disk.fileno())
        partial.rename(target)
    return target


def delete_all_but(newest: int, folder: Path) -> int:
    """Delete the oldest archives of the folder; how many there were."""
    old = sorted(folder.glob(f"{PREFIX}*.tar"))[:-newest]
    for archive in old:
        archive.unlink()
    return len(old)


def restore(archive: Path, *, replace: bool) -> None:
    """Put the archive's database and files in the place of what is here. Raises BackupError.

    Everything is unpacked and compared with the manifest before anything is touched. With `replace` users who
    are here may be lost; without it a database that holds any is left alone.
    """
    with tempfile.TemporaryDirectory(dir=archive.parent) as work:
        unpacked = Path(work)
        manifest = _unpack(archive, unpacked)
        if manifest["database"] != connection.vendor:
            raise BackupError(
                f"The archive is of {manifest['database']}, this service runs on {connection.vendor}: "
                "set DATABASE_URL to the same kind."
            )
        if not replace and _is_in_use():
            raise BackupError("This database holds users already. To replace all of it, add --replace.")
        _load(unpacked)
        for name, root in roots().items():
            if (files := unpacked / "files" / name).is_dir():
                shutil.copytree(files, root, dirs_exist_ok=True)
    _verify()


def _is_in_use() -> bool:
    return User._meta.db_table in connection.introspection.table_names() and User.objects.exists()


def _add(archive: tarfile.TarFile, file: Path, sums: dict[str, str], name: str = "") -> None:
    name = name or file.name
    with file.open("rb") as stream:
        sums[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    archive.add(file, name)


def _dump(folder: Path) -> Path:
    """The database as it is at one moment, while others go on writing."""
    if connection.vendor == "sqlite":
        target = folder / "database.sqlite3"
        connection.ensure_connection()
        with sqlite3.connect(target) as copy:
            connection.connection.backup(copy)
        copy.close()
        return target
    target = folder / "database.dump"
    _run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")
    return target


def _load(folder: Path) -> None:
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        with sqlite3.connect(folder / "database.sqlite3") as copy:
            copy.backup(connection.connection)
        copy.close()
        connections.close_all()
        return
    connections.close_all()
    options = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction"]
    _run("pg_restore", *options, f"--dbname={_parameters()['dbname']}", str(folder / "database.dump"))


def _run(program: str, *arguments: str) -> None:
    """A program of PostgreSQL's, told by its environment where the database is: passwords are in no list."""
    parameters = _parameters()
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    names["dbname"] = "PGDATABASE"
    told = {variable: str(parameters[name]) for name, variable in names.items() if parameters.get(name)}
    if shutil.which(program) is None:
        raise BackupError(f"{program} is not installed: apt-get install postgresql-client")
    done = subprocess.run([program, *arguments], env=os.environ | told, capture_output=True, text=True)
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.strip()[-1000:]}")


def _parameters() -> dict[str, Any]:
    return connection.get_connection_params()


def _unpack(archive: Path, folder: Path) -> dict[str, Any]:
    """Unpack, compare every file with the manifest, and return that. Raises BackupError."""
    try:
        with tarfile.open(archive) as members:
            members.extractall(folder, filter="data")
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except (OSError, tarfile.TarError, ValueError) as error:
        raise BackupError(f"{archive} is not a whole archive of manage.py backup: {error}") from error
    for name, wanted in manifest["sha256"].items():
        file = folder / name
        if not file.is_file():
            raise BackupError(f"{archive} lacks {name}.")
        with file.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != wanted:
                raise BackupError(f"{archive} is damaged: {name} is not what was backed up.")
    return manifest


def _verify() -> None:
    if drifting := list(drifting_accounts()):
        raise BackupError(f"Restored, but {len(drifting)} balances differ from the ledger: check_ledger.")
    if missing := append_only.missing(connection):
        raise BackupError(f"Restored, but the ledger lacks its triggers {', '.join(sorted(missing))}.")
