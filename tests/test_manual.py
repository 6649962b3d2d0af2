"""The manual: each command in it exists with its options, those of the task pages are typed as they stand."""

import json
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command, get_commands, load_command_class
from PIL import Image, ImageDraw

from accounts.models import User
from labeling.models import Dataset, Sample
from ml import registry
from ml.models import CaptchaType, ModelVersion
from ml.recognition.metrics import interval
from ml.selectors import accuracy_of
from ml.services import install_shipped_models

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "client").glob("*.md")])
TASKS = [ROOT / "docs" / name for name in ("README.md", "solve.md", "new-type.md", "audit.md")]
COMMAND = re.compile(r"manage\.py ([a-z_]+)(?: ([^`#\n]*))?")
FILLED_IN = {"NUMBER": "1", "TYPE": "shop", "TEXT": "because", "DIR": "images"}
"""What stands for what in the pages."""


def commands_of(page: Path) -> list[tuple[str, str]]:
    """(command, the rest of its line) for every `manage.py …` of a page; lines that end in \\ are joined."""
    text = re.sub(r"\\\n\s+", "", page.read_text())
    return [(name, (rest or "").split("  ")[0].strip()) for name, rest in COMMAND.findall(text)]


def parser_of(name: str) -> ArgumentParser:
    parser: ArgumentParser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    return parser


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_every_page_exists_with_its_options(page: Path) -> None:
    for name, rest in commands_of(page):
        assert name == "help" or name in get_commands(), f"{page.name}: {name}"
        if name != "help":
            known = {option for action in parser_of(name)._actions for option in action.option_strings}
            named = re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest)
            assert set(named) <= known, f"{page.name}: {name} {rest}"


def typed(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The commands that a page sets apart, to be typed as they stand, with what its capitals stand for."""
    for line in re.findall(r"^ {4,}manage\.py (.+)$", page.read_text(), re.MULTILINE):
        filled = re.sub(r"\b(NUMBER|TYPE|TEXT|DIR)\b", lambda word: FILLED_IN[word[0]], line.split("#")[0])
        name, *rest = shlex.split(filled)
        yield name, rest


@pytest.mark.parametrize("page", TASKS, ids=lambda page: page.name)
def test_what_is_to_be_typed_can_be_parsed(page: Path) -> None:
    commands = [(name, rest) for name, rest in typed(page) if name != "help" and "--help" not in rest]
    assert commands or page.name == "README.md"
    for name, rest in commands:
        parser_of(name).parse_args(rest)  # raises CommandError


def test_the_check_itself_finds_what_is_wrong() -> None:
    with pytest.raises(CommandError):
        parser_of("promote").parse_args(["shop", "--to-production"])


QUICK = {"solve", "create_api_key", "import_images", "freeze_dataset", "evaluate", "promote", "models"}


@pytest.mark.parametrize("name", ["solve.md", "new-type.md"])
def test_the_quick_commands_of_a_page_work_in_its_order(name: str, shop: Path) -> None:
    ran = set()
    for command, rest in typed(ROOT / "docs" / name):
        if command not in QUICK or "--against" in rest:
            continue
        words = [str(shop) if word == "images" else word for word in rest]
        if words and words[0].startswith("static/"):
            words[0] = str(ROOT / words[0])
        if command in ("evaluate", "promote"):
            words[0] = "captcha_type_a"
            words = [str(serving()) if word == "1" else word for word in words]
        more = ["--labelled", "--trusted"] if command == "import_images" else []
        call_command(command, *words, *more, verbosity=0)
        ran.add(command)
    assert len(ran) >= 2
    if name == "new-type.md":
        assert ran == QUICK - {"solve", "create_api_key"}
        assert Dataset.objects.get().facts["images"] > 0


def serving() -> int:
    return ModelVersion.objects.get(slug="captcha_type_a", state=ModelVersion.State.SERVING).version


@pytest.fixture
def shop(tmp_path: Path, db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The shipped models, a type, and a folder of its drawn images."""
    settings.ARTIFACTS_ROOT, settings.DATASETS_ROOT = tmp_path / "trained", tmp_path / "datasets"
    registry.reset()
    install_shipped_models()
    User.objects.create_user("test", "test@example.org", "a password of theirs")
    storage = FileSystemStorage(location=tmp_path / "samples")
    monkeypatch.setattr(Sample._meta.get_field("image"), "storage", storage)
    CaptchaType.objects.create(slug="shop", title="Shop", alphabet="2AKX", min_length=3, max_length=3)
    folder = tmp_path / "images"
    folder.mkdir()
    for text in ("2AK", "KXA", "AAX", "X2K"):
        image = Image.new("RGB", (120, 40), "white")
        ImageDraw.Draw(image).text((20, 4), text, "black", font_size=26)
        image.save(folder / f"{text}.png")
    yield folder
    registry.reset()


def newest(slug: str) -> dict[str, Any]:
    """The figures in the spec of the newest shipped version."""
    folder = max((ROOT / "ml" / "artifacts" / slug).iterdir(), key=lambda folder: int(folder.name))
    metrics: dict[str, Any] = json.loads((folder / "spec.json").read_text())["metrics"]
    return metrics


def as_written(share: Mapping[str, Any]) -> str:
    """``100 % (95 of 95, 96.11 to 100)``."""
    value, low, high = (
        f"{share[name] * 100:.2f}".rstrip("0").rstrip(".") for name in ("value", "low", "high")
    )
    return f"{value} % ({share['correct']:,} of {share['n']:,}, {low} to {high})"


def test_the_figures_of_the_solving_page_are_those_of_the_shipped_models() -> None:
    told = dict(
        re.findall(r"^\| (captcha_type_\w) \| (.+) \|$", (ROOT / "docs" / "solve.md").read_text(), re.M)
    )
    assert told == {slug: str(accuracy_of(newest(slug))) for slug in ("captcha_type_a", "captcha_type_b")}


def test_the_held_out_figures_of_the_models_page_are_those_of_the_shipped_models() -> None:
    page = (ROOT / "docs" / "models.md").read_text()
    held_out = {slug: newest(slug)["held_out"] for slug in ("captcha_type_a", "captcha_type_b", "types")}
    a, b = held_out["captcha_type_a"], held_out["captcha_type_b"]
    decisions = held_out["types"].values()
    decided = interval(sum(one["correct"] for one in decisions), sum(one["n"] for one in decisions))
    rows = {
        "type A": as_written(a["exact_match"]),
        "type A, the surest 95 %": as_written(a["accepted_at_95"]["exact_match"]),
        "type A, calibration error": f"{a['ece']:.4f}",
        "type B, value right": as_written(b["exact_match"]),
        "type decision, A and B": as_written(decided),
    }
    for what, figure in rows.items():
        assert re.search(rf"^\| {re.escape(what)} \| [^|]+ \| {re.escape(figure)} \|", page, re.MULTILINE), (
            what
        )
    answered = newest("general")["negatives_answered"]
    assert f"{answered['value'] * 100:.2f} % ({answered['correct']} of {answered['n']:,})" in page


def test_every_page_is_found_from_the_index_and_every_link_leads_somewhere() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            file, _, heading = target.partition("#")
            if file.startswith(("http:", "https:")):
                continue
            there = (page.parent / file).resolve() if file else page
            assert there.exists(), f"{page.name}: {target}"
            if heading:
                headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
                assert heading in {anchor(one) for one in headings}, f"{page.name}: {target}"


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
