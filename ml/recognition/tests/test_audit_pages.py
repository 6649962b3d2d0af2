"""The pages of `learning_curve` and `audit` in a real browser: whole in one file, on a phone, and dark."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from ml.recognition.audit.advice import advise, headline
from ml.recognition.audit.curve import Curve, Point, Suspect, Suspects
from ml.recognition.audit.learning_page import learning_page
from ml.recognition.audit.reading import Read
from ml.recognition.audit.strength import Ablation, Audit, DefenceWorth, Kind, Untrained
from ml.recognition.audit.strength_page import audit_page
from ml.recognition.datasets import Example, load_folder
from ml.recognition.label_checks import Finding
from ml.recognition.metrics import interval
from ml.recognition.synthesis import defences

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
FINDINGS = [Finding("length", "warning", 1, "1 label is too long", (HOSTILE,))]
CURVE = Curve(
    tuple(
        Point(labels, 0, interval(right, 100), 60.0, 110.0)
        for labels, right in ((10, 55), (25, 80), (50, 92), (100, 96))
    ),
    n_pool=100,
    n_test=100,
    untrained=interval(31, 100),
    skipped={5: "too few"},
)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    folder = tmp_path_factory.mktemp("images")
    for seed in range(4):
        defences.draw(seed, f"AB{seed}C", (200, 60), ["lines"]).save(folder / f"AB{seed}C.png")
    return load_folder(folder)


def audit(examples: list[Example], right: int = 31, *, learned: bool = True) -> Audit:
    reads = tuple(Read(e, e.label if i % 2 else None, 0.9, 1.5, bool(i % 2)) for i, e in enumerate(examples))
    worth = (
        DefenceWorth(name, interval(50 if name == "touching" else 99, 100), interval(10, 100))
        for name in defences.DEFENCES
    )
    untrained = Untrained(interval(0, 100), interval(right, 100), "length 4", 1.5, reads)
    ablation = Ablation(interval(100, 100), interval(8, 100), tuple(worth), (200, 60))
    return Audit("dark", 100, untrained, CURVE if learned else None, ablation)


def pages(examples: list[Example]) -> dict[str, str]:
    first = examples[0]
    suspect = Suspect(first.path.name, first.data_hash, first.label, HOSTILE, 0.99, 0.001)
    suspects = Suspects((suspect,), 5, interval(3, 4), 0.5)
    kind = Kind("ABC0123", (4, 4), (200, 60))
    made = {"images": "4", "seed": HOSTILE}
    return {
        "learning": learning_page(
            "dark", CURVE, CURVE.forecast(0.99), suspects, "", examples, FINDINGS, made
        ),
        "audit": audit_page(audit(examples), kind, FINDINGS, made),
    }


@pytest.mark.parametrize("name", ["learning", "audit"])
@pytest.mark.parametrize(
    ("width", "scheme"), [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")]
)
def test_a_page_is_whole_in_one_file_and_fits_a_phone_and_a_desk(
    name: str,
    width: int,
    scheme: Literal["light", "dark"],
    examples: list[Example],
    chromium: Browser,
    tmp_path: Path,
) -> None:
    html = pages(examples)[name]
    assert "<script" not in html
    file = tmp_path / "page.html"
    file.write_text(html, encoding="utf-8")
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    assert complaints == []
    assert [url for url in requests if not url.startswith(("data:", "file:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.locator("svg.plot circle").count() == 4
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    page.close()


def test_the_advice_follows_the_strongest_attack(examples: list[Example]) -> None:
    weak, strong = audit(examples), audit(examples, right=0, learned=False)
    assert headline(weak).startswith("100 labels and 1 minute of training read 96 % of it")
    assert advise(weak)[0].startswith("Do not rely on it alone")
    assert any("proof-of-work" in line for line in advise(weak))
    assert headline(strong).startswith("No label and no training read 0 % of it")
    assert "does not get through" in advise(strong)[0]
    assert not any("proof-of-work" in line for line in advise(strong))


def test_defences_are_called_strong_or_idle_by_what_was_measured(examples: list[Example]) -> None:
    lines = advise(audit(examples))
    strong = next(line for line in lines if "cost a reader without labels most" in line)
    idle = next(line for line in lines if "alone cost the reader nothing" in line)
    assert defences.DEFENCES["touching"] in strong
    assert defences.DEFENCES["touching"] not in idle
    assert defences.DEFENCES["dots"] in idle
