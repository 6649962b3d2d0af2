"""The containers' description, and the same commands without containers."""

import os
import re
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import yaml

from bench.http_server import free_port
from bench.replicas import valkey
from tests.postgresql import Cluster

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
ROOTS = ("ARTIFACTS", "SAMPLES", "DATASETS", "SOLVED_IMAGES", "BACKUPS")
ALWAYS_ON = sorted(set(SERVICES) - {"prepare"})

pytestmark = pytest.mark.library  # what needs a database starts its own


def test_there_is_what_the_service_is_made_of() -> None:
    assert set(SERVICES) == {
        "prepare", "web", "worker", "beat", "training", "database", "cache", "proxy", "pgadmin",
    }  # fmt: skip
    assert SERVICES["pgadmin"]["profiles"] == ["tools"]
    assert SERVICES["training"]["profiles"] == ["training"]


def test_only_the_proxy_is_reached_from_the_network() -> None:
    for name, service in SERVICES.items():
        for published in service.get("ports", []):
            assert name == "proxy" or published.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_written_down(name: str) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        if re.search("PASSWORD|SECRET", variable):
            assert re.fullmatch(r"\$\{\w+:-\}", value), variable


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"pgadmin"}))
def test_a_container_may_write_nowhere_but_into_its_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])


@pytest.mark.parametrize("name", SERVICES)
def test_memory_and_logs_have_a_limit(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}


@pytest.mark.parametrize("name", ALWAYS_ON)
def test_it_comes_back_by_itself_and_tells_its_health(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert "healthcheck" in service or name == "web"  # the image's own
    assert service.get("healthcheck", {}).get("test") != ["NONE"]


def test_nothing_is_asked_for_that_one_engine_alone_gives() -> None:
    """Podman gives no HOSTNAME to what it executes in a container, and knows no owner of a tmpfs."""
    text = (ROOT / "docker-compose.yml").read_text()
    assert "HOSTNAME" not in text
    options = [option for service in SERVICES.values() for option in service.get("tmpfs", [])]
    assert not [option for option in options if re.search("[ug]id=", option)]


@pytest.mark.parametrize("name", ["web", "worker", "beat", "training"])
def test_the_database_is_prepared_once_before_all_others(name: str) -> None:
    assert SERVICES[name]["depends_on"]["prepare"] == {"condition": "service_completed_successfully"}
    assert "migrate" not in str(SERVICES[name].get("command")) + (ROOT / "Dockerfile").read_text()
    assert SERVICES["prepare"]["restart"] == "no"


def test_every_volume_that_is_used_is_declared_and_no_other() -> None:
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert used == set(COMPOSE["volumes"])


def test_every_variable_of_the_containers_is_in_the_example_file() -> None:
    read = set(re.findall(r"(?<!\$)\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    read |= set(re.findall(r"\^#?\*?([A-Z_]+)=", (ROOT / "deploy" / "ec2" / "cloud-init.yml").read_text()))
    documented = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert "POSTGRES_PASSWORD" in read
    assert read <= documented


def test_tensorflow_is_in_the_image_that_trains_alone() -> None:
    wanted = {name: str(service.get("build", "")) for name, service in SERVICES.items()}
    assert [name for name, build in wanted.items() if "training" in build] == ["training"]
    assert SERVICES["web"]["image"] == SERVICES["prepare"]["image"] != SERVICES["training"]["image"]
    assert 'ARG REQUIREMENTS="worker"' in (ROOT / "Dockerfile").read_text()


def test_the_image_runs_without_root_and_checks_its_health() -> None:
    last = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d+", last, re.MULTILINE)
    assert re.search(r"HEALTHCHECK[^E]+/readyz", last)


def test_the_image_writes_to_its_volumes_alone() -> None:
    """Its own file system is read-only: a folder that is forgotten here could not be written."""
    roots = re.findall(r'env\.path\("(\w+_ROOT)"', (ROOT / "captcha_site" / "settings.py").read_text())
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert roots
    for root in roots:
        assert re.search(rf"\b{root}=(/data/|/backups)", dockerfile), root


def test_what_the_image_needs_is_copied_into_it() -> None:
    copied = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    settings = (ROOT / "captcha_site" / "settings.py").read_text()
    apps = re.findall(r'^    "(\w+)",$', settings, re.MULTILINE)
    assert {app for app in apps if (ROOT / app / "__init__.py").exists()} <= copied
    assert {"manage.py", "gunicorn.conf.py", "requirements", "templates", "static"} <= copied


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment that the containers get, with a PostgreSQL and a Valkey or Redis of this test."""
    folder = tmp_path_factory.mktemp("production")
    cluster = Cluster()
    try:
        with valkey(folder) as cache:
            yield {
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "ENV_FILE": os.devnull,
                "SECRET_KEY": secrets.token_urlsafe(50),
                "ALLOWED_HOSTS": ",127.0.0.1,web",
                "DATABASE_URL": cluster.url,
                "CACHE_URL": cache,
                "CELERY_BROKER_URL": cache.replace("/0", "/1"),
                "BEHIND_TLS_PROXY": "1",
                "TRUSTED_PROXIES": "172.28.0.0/16",
                "WEB_CONCURRENCY": "1",
                "BIND": f"127.0.0.1:{free_port()}",
            } | {f"{name}_ROOT": str(folder / name) for name in ROOTS}
    finally:
        cluster.stop()


def test_the_same_commands_run_without_containers(production: dict[str, str]) -> None:
    """`prepare`, then the web process and a worker; the worker answers the question of its health check."""
    prepared = subprocess.run(
        SERVICES["prepare"]["command"], cwd=ROOT, env=production, capture_output=True, text=True
    )
    assert prepared.returncode == 0, prepared.stderr
    assert "scheduled: backup" in prepared.stdout
    (web_command,) = re.findall(r"^CMD \[\"([\w/]+)\"\]$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    commands = [[web_command], [*SERVICES["worker"]["command"], "--concurrency", "1", "--hostname", "w@test"]]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=production, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    try:
        assert '"status": "ready"' in _answer(f"http://{production['BIND']}/readyz", processes[0])
        while not _ponged(production, "w@test"):  # it may take a while to listen
            assert processes[1].poll() is None
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.communicate(timeout=60)


def _ponged(environment: dict[str, str], worker: str) -> bool:
    """Whether the worker answers the question of its health check."""
    ping = ["celery", "-A", "jobs.worker", "inspect", "ping", "--timeout", "5", "--destination", worker]
    asked = subprocess.run(ping, cwd=ROOT, env=environment, capture_output=True, text=True)
    return "pong" in asked.stdout


def _answer(url: str, process: subprocess.Popen[str]) -> str:
    """The body of the first 200."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (an address of this test)
                return str(answer.read().decode())
        except (URLError, OSError):
            time.sleep(0.1)
    process.terminate()
    raise AssertionError(f"{url} does not answer: {process.communicate()[1][-2000:]}")


CLUSTER: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy/kubernetes/captcha.yml").read_text())["items"]
PODS = {
    item["metadata"]["name"]: item["spec"]["template"]["spec"]
    for item in CLUSTER
    if item["kind"] in ("Deployment", "Job")
}


@pytest.mark.parametrize("name", PODS)
def test_a_pod_runs_without_root_and_writes_into_its_volumes_alone(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


@pytest.mark.parametrize("name", PODS)
def test_a_pod_runs_what_the_compose_file_runs(name: str) -> None:
    (container,) = PODS[name]["containers"]
    service = SERVICES[name]
    assert container["image"] == service["image"]
    assert set(container.get("command", ["bin/serve"])) >= set(service.get("command", ["bin/serve"]))
    documented = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert {variable["name"] for variable in container["env"]} <= documented


def test_a_web_pod_gets_requests_while_it_is_ready() -> None:
    (container,) = PODS["web"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert PODS["web"]["terminationGracePeriodSeconds"] >= 25  # bin/serve waits 5, gunicorn 20
    selected = {
        item["kind"]: item["spec"].get("selector") for item in CLUSTER if item["metadata"]["name"] == "web"
    }
    assert selected["Service"] == selected["Deployment"]["matchLabels"]
