"""Versions side by side: for staff alone, from what is stored, with pictures where there are any."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.management import call_command
from django.test import Client
from django.utils.html import escape
from PIL import Image

from accounts.models import User
from captcha_site.tests.test_type_pages import browser_of
from jobs.models import JobRun
from labeling.importing import add_image
from labeling.models import Sample
from ml import registry
from ml.models import CaptchaType, ModelVersion
from ml.services import install_shipped_models, register_version
from ml.tests.artifacts import write_reader, write_types

ADDRESS = "/types/shop/compare/"


@pytest.fixture
def shop(db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[CaptchaType]:
    """A type with a serving reader of 2KXQE, a candidate of 9ABCD, and four images with an agreed text."""
    storage = FileSystemStorage(location=tmp_path / "samples")
    monkeypatch.setattr(Sample._meta.get_field("image"), "storage", storage)
    settings.SHIPPED_ARTIFACTS, settings.ARTIFACTS_ROOT = tmp_path / "shipped", tmp_path / "trained"
    settings.DATASETS_ROOT, settings.CURVES_ROOT = tmp_path / "datasets", tmp_path / "curves"
    registry.reset()
    write_types(tmp_path / "shipped", labels=("shop", "other"))
    write_reader(tmp_path / "shipped", "shop")
    install_shipped_models()
    register_version(folder=write_reader(tmp_path / "trained", "shop", 1001, text="9ABCD"))
    captcha_type = CaptchaType.objects.get(slug="shop")
    for number, text in enumerate(("2KXQE", "2KXQE", "2KXQE", "9ABCD")):
        stream = io.BytesIO()
        Image.new("RGB", (120, 40), (number, 0, 0)).save(stream, "PNG")
        add_image(captcha_type=captcha_type, data=stream.getvalue(), name="", source="a test", split="train")
        Sample.objects.filter(sha256__isnull=False, text="").update(text=text, status=Sample.Status.AGREED)
    yield captcha_type
    registry.reset()


@pytest.fixture
def staff(db: None) -> Client:
    return browser_of(User.objects.create_superuser("root", "root@example.org", "x"))


def evaluate(tmp_path: Path) -> None:
    """Both versions, on the images of the type as their files lie in the queue, and on one from elsewhere."""
    folder = tmp_path / "given"
    folder.mkdir()
    for number, sample in enumerate(Sample.objects.order_by("pk")):
        with sample.image.open("rb") as file:
            (folder / f"{sample.text}__{number}.png").write_bytes(file.read())
    stream = io.BytesIO()
    Image.new("RGB", (120, 40), (99, 0, 0)).save(stream, "PNG")
    (folder / "2KXQE__99.png").write_bytes(stream.getvalue())
    call_command("evaluate", "shop", number=1001, images=[folder], verbosity=0)


def test_who_is_better_and_where_they_differ(shop: CaptchaType, staff: Client, tmp_path: Path) -> None:
    evaluate(tmp_path)
    answer = staff.get(ADDRESS, {"one": 1, "other": 1001})
    page = answer.content.decode()
    found = answer.context["found"]
    assert (found.one_alone, found.other_alone) == (4, 1)
    assert page.count("<img") == 4
    assert escape(found.verdict) in page
    for sample in Sample.objects.all():
        address = f"/labeling/shop/review/{sample.pk}/image"
        assert address in page
        picture: Any = staff.get(address)
        assert b"".join(picture.streaming_content).startswith(b"\x89PNG")


def test_errors_and_own_images_stand_on_the_types_page_for_staff_alone(
    shop: CaptchaType, staff: Client, tmp_path: Path
) -> None:
    evaluate(tmp_path)
    page = staff.get("/types/shop/").content.decode()
    assert "An image that says 9ABCD" in page  # the serving version reads it wrong
    assert "/types/shop/compare/" in page
    for person in (None, User.objects.create_user("eve", "eve@example.org", "x")):
        page = browser_of(person).get("/types/shop/").content.decode()
        assert "<img" not in page
        assert "compare" not in page
        assert browser_of(person).get(ADDRESS).status_code == 404
        assert browser_of(person).post(ADDRESS, {"one": 1, "other": 1001}).status_code == 404
    assert not JobRun.objects.exists()


def test_without_common_images_it_says_how_to_get_some(shop: CaptchaType, staff: Client) -> None:
    page = staff.get(ADDRESS).content.decode()
    assert "no images yet that both have read" in page
    assert "manage.py evaluate shop --version 1 --against 1001 --images DIR" in page


def test_a_button_lets_a_job_read_the_newest_data_set(
    shop: CaptchaType, staff: Client, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    call_command("freeze_dataset", "shop", verbosity=0)
    monkeypatch.setattr("jobs.launching.launch", lambda run: None)  # the process itself is the jobs' own test
    assert "Read data set 1 with both" in staff.get(ADDRESS).content.decode()
    answer = staff.post(ADDRESS, {"one": 1, "other": 1001})
    run = JobRun.objects.get()
    assert answer["Location"] == f"/jobs/{run.pk}"
    assert staff.post(ADDRESS, {"one": 1, "other": 1001})["Location"] == f"/jobs/{run.pk}"  # one at a time
    call_command("evaluate", *run.arguments, verbosity=0)  # what the job types
    assert "no images yet" not in staff.get(ADDRESS).content.decode()


@pytest.mark.parametrize("query", ["?one=1&other=1", "?one=x&other=", "?one=77&other=1001", "?data=zzz"])
def test_nonsense_falls_back_to_what_serves_and_the_newest_other(
    shop: CaptchaType, staff: Client, query: str
) -> None:
    answer = staff.get(ADDRESS + query)
    assert (str(answer.context["one"]), str(answer.context["other"])) == ("shop/1", "shop/1001")


def test_one_version_alone_is_nothing_to_compare(shop: CaptchaType, staff: Client) -> None:
    ModelVersion.objects.filter(version=1001).delete()
    assert "nothing to compare yet" in staff.get(ADDRESS).content.decode()
    assert staff.get("/types/general/compare/").status_code == 200
    assert staff.get("/types/nothing/compare/").status_code == 404
