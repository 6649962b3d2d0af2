"""The project's rules about itself: its imports, its commands, its requirements and its containers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_no_layer_imports_what_it_must_not() -> None:
    linted = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert linted.returncode == 0, linted.stdout
    assert "ignore_imports" not in (ROOT / "pyproject.toml").read_text()


def test_the_web_process_never_loads_tensorflow() -> None:
    """What import-linter cannot see, as the strings of include(), is loaded here and looked at."""
    load = (
        "import django, sys; django.setup();"
        "from django.urls import get_resolver; get_resolver().url_patterns;"
        "import captcha_site.wsgi;"
        "print(sorted({'tensorflow', 'keras', 'tf2onnx', 'onnx', 'scrapy', 'twisted'} & set(sys.modules)))"
    )
    loaded = run(sys.executable, "-c", load)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.strip() == "[]"


def test_make_help_lists_every_command_that_is_for_users() -> None:
    helped = run("make", "help")
    assert helped.returncode == 0, helped.stderr
    for target in ("run", "test", "training", "clean"):
        assert re.search(rf"^  make {target} +\S", helped.stdout, re.MULTILINE)
    assert run("make").stdout == helped.stdout


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda file: file.name)
def test_every_requirement_has_one_exact_version(file: Path) -> None:
    options = ("#", "-r", "-c", "--no-binary")
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith(options)]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line


def test_what_is_named_twice_has_the_same_version() -> None:
    files = (ROOT / "requirements").glob("*.txt")
    pins = {line for file in files for line in file.read_text().splitlines() if "==" in line}
    names = [re.sub("[-_.]+", "-", pin.split("==")[0]).lower() for pin in pins]
    assert len(names) == len(set(names))


def test_serving_needs_nothing_that_trains() -> None:
    serving = (ROOT / "requirements" / "serving.txt").read_text().lower()
    assert not re.search(r"^(tensorflow|keras|onnx|tf2onnx|scrapy)=", serving, re.MULTILINE)


def test_what_the_security_page_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "security.md").read_text())
    assert len(named) > 40
    for file, test in named:
        assert (ROOT / file).exists(), file
        assert not test or f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"
