"""The images, built, and what docker-compose.yml makes of them, started and asked by the commands of /info.

    .venv-dev/bin/python -m bench.containers [--engine podman] [--training] [--build-options "--network host"]

Each container is started by the engine's own `run`, with all that the file says of its service: what it may
write, its user, capabilities, limits, volumes. What the commands change lies in volumes of this run, which go
with it. NO stands before what does not hold. Where no image can be fetched, have some of the names that the
files give at hand: docs/production.md.
"""

import argparse
import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bench.http_server import ROOT, free_port

LISTS = {
    "cap_drop": "--cap-drop", "cap_add": "--cap-add", "security_opt": "--security-opt", "tmpfs": "--tmpfs",
}  # fmt: skip
VALUES = {
    "user": "--user", "mem_limit": "--memory", "pids_limit": "--pids-limit", "shm_size": "--shm-size",
}  # fmt: skip
"""Of a service in docker-compose.yml, as options of `run`."""
ALWAYS_ON = ["web", "worker", "beat", "proxy"]
PASSWORD = "a-password-of-this-run"  # noqa: S105 (of users whose database goes with the run)
USERS = f"""
from django_otp.oath import totp
from accounts import credits, services
from accounts.models import User
user = services.register_user(username="ann", email="ann@example.org", password="{PASSWORD}")
credits.grant(user=user, amount=10, reason="test", actor="test")
admin = User.objects.create_superuser("root", "root@example.org", "{PASSWORD}")
credits.open_account(user=admin, gift=0)
device = admin.totpdevice_set.create(name="phone", confirmed=True)
print("code", str(totp(device.bin_key)).zfill(6))
"""
JOB = """
import time
from jobs.services import start_job
run = start_job(kind="check_ledger")
while run.state in ("queued", "running"):
    time.sleep(0.2)
    run.refresh_from_db()
print(run.state, run.outcome)
"""
DRAW = """
from pathlib import Path
from ml.recognition.synthesis.fonts import font_files
from ml.recognition.synthesis.generator import draw
folder = Path("/data/practice")
folder.mkdir()
for seed in range(80):
    drawing = draw(seed, "ripples")
    drawing.image.save(folder / f"{drawing.text}__{seed}.png")
print(len(font_files()), "fonts")
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=["docker", "podman"], help="the first that is at hand")
    parser.add_argument("--training", action="store_true", help="the image that trains too, of gigabytes")
    parser.add_argument("--no-build", action="store_true", help="take the images that are there")
    parser.add_argument("--build-options", default="", help="given to the engine's build")
    parser.add_argument("--seconds", type=int, default=180, help="to wait for health")
    options = parser.parse_args()
    engine = options.engine or next(filter(shutil.which, ["docker", "podman"]), None)
    if engine is None:
        raise SystemExit("There is neither docker nor podman here.")
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(engine, Path(folder), options.seconds)
        if not options.no_build:
            for name in ["web", "worker", *(["training"] if options.training else [])]:
                deployment.build(name, shlex.split(options.build_options))
        with deployment.running(ALWAYS_ON + (["training"] if options.training else [])):
            ask(deployment)
            look_at_rights(deployment)
            run_jobs(deployment, training=options.training)
            back_up_and_restore(deployment)
            stop(deployment)
        return deployment.failures


class Deployment:
    """The services of docker-compose.yml on a network and on volumes of their own."""

    def __init__(self, engine: str, folder: Path, patience: int) -> None:
        self.engine, self.folder, self.patience = engine, folder, patience
        self.name = f"captcha-{secrets.token_hex(4)}"
        self.failures = 0
        self.port = free_port()
        self.env_file = folder / "env"
        environment = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "POSTGRES_PASSWORD": secrets.token_hex(16),
            "ALLOWED_HOSTS": "localhost",
        }
        self.env_file.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
        self.file = _filled_in((ROOT / "docker-compose.yml").read_text(), environment)
        self.services: dict[str, Any] = self.file["services"]

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def say(self, what: str, holds: bool = True) -> None:
        self.failures += not holds
        print(what if holds else f"NO {what}", flush=True)

    def build(self, name: str, options: list[str]) -> None:
        service = self.services[name]
        build = service.get("build") or self.services["prepare"]["build"]
        arguments = build.get("args", {}) if isinstance(build, dict) else {}
        given = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        if self.engine == "podman":
            given += ["--format", "docker"]  # the other format has no health check
        began = time.monotonic()
        subprocess.run(
            [self.engine, "build", *options, *given, "--tag", service["image"], "."], cwd=ROOT, check=True
        )
        size = int(self.run("image", "inspect", "--format", "{{.Size}}", service["image"]))
        self.say(f"{service['image']}: built in {time.monotonic() - began:.0f} s, {size / 1e6:.0f} MB")

    @contextmanager
    def running(self, services: list[str]) -> Iterator[None]:
        subnet = self.file["networks"]["default"]["ipam"]["config"][0]["subnet"]
        self.run("network", "create", "--subnet", subnet, self.name)
        try:
            for name in ("database", "cache"):
                self.start(name)
            self.wait_for_health("database", "cache")
            self.start("prepare", "--rm", detached=False)
            began = time.monotonic()
            for name in services:
                self.start(name)
            self.wait_for_health(*services)
            self.say(f"healthy after {time.monotonic() - began:.0f} s: {', '.join(services)}")
            yield
        except BaseException:
            for name in ["database", "cache", *services]:
                said = subprocess.run(
                    [self.engine, "logs", "--tail", "30", f"{self.name}-{name}"],
                    capture_output=True,
                    text=True,
                )
                print(f"--- {name}\n{said.stdout}{said.stderr}", file=sys.stderr)
            raise
        finally:
            for name in ["database", "cache", *services]:
                self.run("rm", "--force", "--volumes", f"{self.name}-{name}", check=False)
            for volume in self.file["volumes"]:
                self.run("volume", "rm", "--force", f"{self.name}-{volume}", check=False)
            self.run("network", "rm", self.name, check=False)

    def start(self, name: str, *more: str, detached: bool = True) -> None:
        service = self.services[name]
        words = [
            "run",
            "--name",
            f"{self.name}-{name}",
            "--network",
            self.name,
            "--network-alias",
            name,
            *more,
        ]
        words += ["--detach"] if detached else []
        words += [f"--{flag.replace('_', '-')}" for flag in ("read_only", "init") if service.get(flag)]
        if self.engine == "podman" and service.get("read_only"):
            words += ["--read-only-tmpfs=false"]  # else it lets more be written than docker does
        for key, option in LISTS.items():
            words += [word for value in service.get(key, []) for word in (option, value.replace(":true", ""))]
        for key, option in VALUES.items():
            words += [option, str(service[key])] if key in service else []
        words += ["--env-file", str(self.env_file)] if "env_file" in service else []
        for variable, value in (service.get("environment") or {}).items():
            words += ["--env", f"{variable}={value}"]
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            source = str(ROOT / source) if source.startswith(".") else f"{self.name}-{source}"
            words += ["--volume", f"{source}:{rest}"]
        if name == "proxy":
            words += ["--publish", f"127.0.0.1:{self.port}:443"]
        words += self.health_options(service)
        command = service.get("command", [])
        self.run(*words, service["image"], *command)

    def health_options(self, service: dict[str, Any]) -> list[str]:
        """Asked here, when it is wanted: podman has no clock of its own for it."""
        if "healthcheck" not in service:
            return []
        how, *words = service["healthcheck"]["test"]
        line = words[0].replace("$$", "$") if how == "CMD-SHELL" else shlex.join(words)
        return ["--health-cmd", line, "--health-interval", "5s", "--health-timeout", "20s"]

    def wait_for_health(self, *names: str) -> None:
        end = time.monotonic() + self.patience
        for name in names:
            while not self.healthy(f"{self.name}-{name}"):
                if time.monotonic() > end:
                    raise SystemExit(f"NO {name} is not healthy after {self.patience} s")
                time.sleep(0.5)

    def healthy(self, container: str) -> bool:
        if self.engine == "podman":
            asked = [self.engine, "healthcheck", "run", container]
            return subprocess.run(asked, capture_output=True).returncode == 0
        return self.run("inspect", "--format", "{{.State.Health.Status}}", container) == "healthy"

    def inside(self, service: str, *command: str, check: bool = True) -> str:
        return self.run("exec", f"{self.name}-{service}", *command, check=check)

    def python(self, service: str, script: str) -> str:
        return self.inside(service, "python", "manage.py", "shell", "--no-imports", "--command", script)

    def run(self, *words: str, check: bool = True) -> str:
        """What the engine's command prints."""
        done = subprocess.run([self.engine, *words], capture_output=True, text=True)
        if check and done.returncode:
            raise SystemExit(
                f"NO {self.engine} {shlex.join(words[:3])} … ended with {done.returncode}:\n"
                f"{done.stdout[-2000:]}{done.stderr[-3000:]}"
            )
        return done.stdout.strip()


def _filled_in(text: str, environment: dict[str, str]) -> dict[str, Any]:
    """The file with the values of its variables, or their defaults."""
    text = re.sub(r"(?<!\$)\$\{(\w+):-([^}]*)\}", lambda m: environment.get(m[1], m[2]), text)
    filled: dict[str, Any] = yaml.safe_load(text)
    return filled


def ask(deployment: Deployment) -> None:
    """The commands that /info prints, by the shell that a user has, over TLS and through the proxy."""
    code = deployment.python("web", USERS).rpartition("code ")[2].strip()
    authority = deployment.folder / "root.crt"
    authority.write_text(
        deployment.inside("proxy", "cat", "/data/caddy/pki/authorities/local/root.crt") + "\n"
    )
    (deployment.folder / ".curlrc").write_text(f'cacert = "{authority}"\n')
    environment = {"PATH": os.environ["PATH"], "CURL_HOME": str(deployment.folder), "HOME": "/nonexistent"}

    def shell(script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=deployment.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        return done.stdout + done.stderr

    shown = json.loads(shell(f"curl -sS -H 'Accept: application/json' {deployment.url}/info"))
    script = "\necho; echo @@\n".join(shown.values())
    for placeholder, value in {
        "YOUR_NAME": "ann", "YOUR_PASSWORD": PASSWORD, "ADMIN_NAME": "root", "ADMIN_PASSWORD": PASSWORD,
        "CODE_OF_YOUR_APP": code,
    }.items():  # fmt: skip
        script = script.replace(placeholder, value)
    answers = [answer.strip() for answer in shell(script).split("@@")]
    expected: list[Callable[[str], bool]] = [
        lambda answer: answer == "",
        lambda answer: re.fullmatch(r'"\w+"', answer) is not None,
        lambda answer: json.loads(answer)["account_info"]["credit_balance"] == 9,
        lambda answer: answer == "",
        lambda answer: answer == "",
        lambda answer: "100" in answer,
        lambda answer: "deleted" in answer.lower(),
    ]
    deployment.say(f"/info has {len(shown)} commands", len(answers) == len(expected) == len(shown))
    for title, answer, holds in zip(shown, answers, expected, strict=False):
        deployment.say(f"  {title}: {answer or 'done'}", _quietly(holds, answer))
    for sample in sorted((ROOT / "static" / "samples").glob("*.png")):
        answer = shell(
            f"{shown_token(shown).replace('YOUR_NAME', 'ann').replace('YOUR_PASSWORD', PASSWORD)}\n"
            f'curl -sS {deployment.url}/upload_captcha -H "Authorization: Bearer $TOKEN" '
            f"-F 'captcha_image=@{sample}'"
        )
        deployment.say(f"  {sample.name}: {answer}", re.fullmatch(r'"[^"]+"', answer.strip()) is not None)
    figures = shell(f"curl -sS -o /dev/null -w '%{{http_code}}' {deployment.url}/metrics")
    deployment.say(f"  /metrics from outside: {figures}", figures == "404")


def shown_token(shown: dict[str, str]) -> str:
    return next(iter(shown.values()))


def _quietly(holds: Callable[[str], bool], answer: str) -> bool:
    try:
        return holds(answer)
    except (ValueError, KeyError, TypeError):
        return False


def look_at_rights(deployment: Deployment) -> None:
    for name in ["database", "cache", *ALWAYS_ON]:
        status = deployment.inside(
            name, "sh", "-c", "id -u; grep CapEff /proc/1/status; grep NoNewPrivs /proc/1/status"
        )
        user, capabilities, kept = (line.split()[-1] for line in status.splitlines())
        denied = deployment.inside(
            name, "sh", "-c", "touch /x /usr/x /etc/x /srv/x 2>&1; ls /x 2>/dev/null", check=False
        )
        expected = "0000000000000400" if name == "proxy" else "0000000000000000"
        holds = denied.count("Read-only file system") == 4 and capabilities == expected and kept == "1"
        deployment.say(
            f"{name}: user {user}, capabilities {capabilities}, no new privileges, root read-only",
            holds and (user == "0") == (name == "proxy"),
        )


def run_jobs(deployment: Deployment, *, training: bool) -> None:
    """Begun by the web process and run by a worker; a training, and the web process knows what came of it."""
    said = deployment.python("web", JOB)
    deployment.say(f"a job by Celery: {said}", said.startswith("succeeded"))
    if training:
        fonts = deployment.python("training", DRAW)
        train = ["python", "manage.py", "train", "practice", "--images", "/data/practice", "--steps", "30"]
        began = time.monotonic()
        said = deployment.inside("training", *train)
        deployment.say(
            f"30 steps of training, with {fonts}: {said.splitlines()[-1]}, {time.monotonic() - began:.0f} s",
            "practice/" in deployment.inside("web", "python", "manage.py", "models"),
        )


def back_up_and_restore(deployment: Deployment) -> None:
    """By the worker: the volume is every container's, and PostgreSQL's programs are those of its version."""
    deployment.inside("worker", "python", "manage.py", "backup")
    archives = deployment.inside("web", "sh", "-c", "ls /backups").split()
    deployment.say(f"backup: {' '.join(archives)}", archives != [])  # beat may have made one too
    restore = ["python", "manage.py", "restore", f"/backups/{archives[-1]}", "--replace"]
    said = deployment.inside("worker", *restore)
    deployment.say(f"restore: {said.splitlines()[-1] if said else 'done'}")


def stop(deployment: Deployment) -> None:
    began = time.monotonic()
    deployment.run("stop", "--time", "30", f"{deployment.name}-web")
    code = deployment.run("inspect", "--format", "{{.State.ExitCode}}", f"{deployment.name}-web")
    deployment.say(
        f"web: stopped in {time.monotonic() - began:.0f} s with exit code {code}", code in ("0", "143")
    )


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
