"""A short sitting in a real browser: import, type, train for a moment, promote, verify, export."""

import csv
import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.core.management import call_command
from django.db import connection
from playwright.sync_api import expect

from bench.scripted_labeller import AT_ONCE, ScriptedLabeller
from jobs import services
from labeling.models import Assignment, Sample, Split
from labeling.tests.conftest import browser_of
from labeling.tests.test_access import content
from labeling.tests.test_page import Labeller, at_the_page
from ml.models import CaptchaType
from ml.recognition.synthesis import generator
from ml.services import install_shipped_models

__all__ = ["at_the_page"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("default"),  # TensorFlow and ONNX warn about themselves
    pytest.mark.skipif(connection.vendor != "sqlite", reason="once is enough: other tests ask each database"),
]

IMAGES = 20


@pytest.fixture
def truths(tmp_path: Path) -> dict[str, str]:
    """By file name what the images of `images.zip` show."""
    chance = random.Random(5)
    texts = {f"{number:02}.png": "".join(chance.choices("0123456789", k=4)) for number in range(IMAGES)}
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for number, (name, text) in enumerate(texts.items()):
            stream = io.BytesIO()
            generator.draw(number, text=text).image.save(stream, "PNG")
            archive.writestr(name, stream.getvalue())
    return texts


def test_from_images_without_a_text_to_all_of_them_labelled(
    at_the_page: Callable[[Any], Labeller],
    make_person: Callable[..., Any],
    captcha_type: CaptchaType,
    truths: dict[str, str],
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.SHIPPED_ARTIFACTS = site_settings.BASE_DIR / "ml" / "artifacts"
    install_shipped_models()
    monkeypatch.setattr(services, "launch", lambda run: None)  # the commands are called below
    ada, ben = make_person("ada"), make_person("ben")
    CaptchaType.objects.update(owner=ada, alphabet="0123456789", min_length=4, max_length=4)

    def truth_of(assignment: str) -> str:
        return truths[Assignment.objects.select_related("sample").get(pk=assignment).sample.name]

    first, second = at_the_page(ada), at_the_page(ben)
    hands = [ScriptedLabeller(one.page, truth_of, pace=AT_ONCE) for one in (first, second)]
    type_page = f"{first.address}/labeling/shop/"
    agreed = Sample.objects.filter(status=Sample.Status.AGREED)

    first.page.goto(f"{type_page}import")
    first.page.set_input_files("#files", tmp_path / "images.zip")
    expect(first.page.locator("#state")).to_have_attribute("data-state", "saved")
    assert Sample.objects.count() == IMAGES

    tests = Sample.objects.filter(split=Split.TEST).count()
    hands[0].open(type_page, "type")
    assert hands[0].type_images(tests + 12) == tests + 12
    hands[0].all_saved()
    first.page.goto(f"{first.address}/labeling/")
    # Test images, and where a sure reader was contradicted: second readings come first.
    once_read = Sample.objects.filter(status=Sample.Status.OPEN, labels__isnull=False).count()
    assert once_read >= tests
    hands[1].open(type_page, "type")
    hands[1].type_images(once_read)
    hands[1].all_saved()
    second.page.goto(f"{first.address}/labeling/")
    assert agreed.count() == tests + 12

    type(ada).objects.filter(pk=ada.pk).update(is_staff=True)  # freezing is for staff
    first.page.goto(f"{type_page}datasets")
    first.page.get_by_role("button", name="Freeze a data set").click()
    call_command("train_dataset", "shop", "1", steps=2)
    first.page.reload()
    first.page.get_by_role("button", name="Promote").click()
    expect(first.page.get_by_text("serves now")).to_be_visible()
    call_command("read_samples", "shop")
    waiting = Sample.objects.filter(status=Sample.Status.OPEN)
    assert set(waiting.values_list("model_version", flat=True)) == {"shop/1"}

    hands[0].open(type_page, "grid")
    hands[0].accept_pages()
    hands[0].all_saved()
    hands[0].open(type_page, "verify")
    hands[0].type_images(IMAGES)
    hands[0].all_saved()
    hands[1].open(type_page, "verify")
    hands[1].type_images(IMAGES)  # where a sure reader was contradicted
    hands[1].all_saved()

    answer = content(browser_of(ada).get("/labeling/shop/export/csv"))
    rows = list(csv.DictReader(io.StringIO(answer.decode())))
    expected = {sample.sha256: truths[sample.name] for sample in Sample.objects.all()}
    assert {row["sha256"]: row["label"] for row in rows} == expected
    assert first.complaints == second.complaints == []
