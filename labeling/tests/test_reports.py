"""Answers that customers called wrong: who reads them, in which order, and what the caller learns."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from labeling.datasets import freeze, read_manifest
from labeling.exporting import FORMATS, export
from labeling.importing import add_image
from labeling.models import Label, Mode, Report, Sample
from labeling.reports import CannotReport, add_reported, decided, let_train
from labeling.services import resolve
from labeling.tests.conftest import Page, drawn
from ml.models import CaptchaType
from ml.recognition.images import ImageError

OpenPage = Callable[..., Page]
MakeSample = Callable[..., Sample]

pytestmark = pytest.mark.django_db


@pytest.fixture
def report(captcha_type: CaptchaType) -> Callable[..., Sample]:
    def make(reference: str = "solve 1", data: bytes = b"", **told: Any) -> Sample:
        told = {"read": "AB", "correction": "AC"} | told
        return add_reported(type_slug="shop", image_bytes=data or drawn("AC"), reference=reference, **told)

    return make


def test_a_report_is_read_by_a_person_and_the_caller_learns_it(
    report: Callable[..., Sample], page: OpenPage, ada: Any
) -> None:
    sample = report()
    assert (sample.status, sample.split) == ("open", "train")
    assert decided(["solve 1", "solve 2"]) == {}
    page(ada).read("ac")
    assert decided(["solve 1", "solve 2"]) == {"solve 1": "AC"}
    assert decided([]) == {}
    assert decided([f"solve {n}" for n in range(2000)]) == {"solve 1": "AC"}


def test_an_unreadable_one_is_told_as_none(report: Callable[..., Sample], page: OpenPage, ada: Any) -> None:
    report()
    session = page(ada)
    session.save(session.claim()[0], "", kind=Label.Kind.UNREADABLE)
    assert decided(["solve 1"]) == {"solve 1": None}


def test_the_same_report_twice_changes_nothing(
    report: Callable[..., Sample], page: OpenPage, ada: Any
) -> None:
    data = drawn("AC")
    first = report(data=data)
    page(ada).read("AC")
    again = report(data=data)
    assert (again, again.status, again.duplicates) == (first, "agreed", 0)
    assert Report.objects.count() == 1


def test_two_reports_of_one_image_have_one_fate(
    report: Callable[..., Sample], page: OpenPage, ada: Any
) -> None:
    data = drawn("AC")
    assert report("solve 1", data) == report("solve 2", data, correction=None)
    page(ada).read("AC")
    assert decided(["solve 1", "solve 2"]) == {"solve 1": "AC", "solve 2": "AC"}


def test_what_is_no_image_or_of_no_type_is_refused(report: Callable[..., Sample]) -> None:
    with pytest.raises(ImageError):
        report(data=b"no image")
    with pytest.raises(CannotReport, match="no type nothing"):
        add_reported(
            type_slug="nothing", image_bytes=drawn(), read="AB", correction=None, reference="solve 1"
        )
    assert not Report.objects.exists()


def test_an_image_that_one_person_had_read_is_read_again_once(
    report: Callable[..., Sample], captcha_type: CaptchaType, page: OpenPage, ada: Any
) -> None:
    data = drawn("AC")
    add_image(captcha_type=captcha_type, data=data, name="", source="", split="train")
    page(ada).read("AB")

    sample = report("solve 2", data)
    assert (sample.status, sample.round) == ("open", 2)
    assert decided(["solve 2"]) == {}
    page(ada).read("AB")
    assert report("solve 3", data).status == "agreed"
    assert decided(["solve 2", "solve 3"]) == {"solve 2": "AB", "solve 3": "AB"}


@pytest.mark.parametrize(("trusted", "correction"), [(True, "AC"), (False, "AB")])
def test_a_sure_or_confirmed_text_stands(
    make_sample: MakeSample, report: Callable[..., Sample], trusted: bool, correction: str
) -> None:
    known = make_sample("AB", status=Sample.Status.AGREED, trusted=trusted)
    with known.image.open() as file:
        data = file.read()
    assert report(data=data, correction=correction) == known
    assert decided(["solve 1"]) == {"solve 1": "AB"}


def test_reports_come_before_other_training_images(
    make_sample: MakeSample, report: Callable[..., Sample], page: OpenPage, ada: Any
) -> None:
    for _ in range(12):
        make_sample(priority=0.0)
    reported = report()
    assert reported.sha256.startswith(page(ada).claim(1)[0].key)


def test_what_the_customer_read_is_told_to_those_who_do_not_read_blind(
    report: Callable[..., Sample], page: OpenPage, ada: Any, ben: Any
) -> None:
    data = drawn("AC")
    for number, correction in enumerate(["AC", "AC", "AD", None, " "]):
        report(f"solve {number}", data, correction=correction)
    Sample.objects.update(prediction="AB", confidence=0.99, characters=[0.99, 0.99])
    assert page(ada, Mode.GRID).claim() == []  # nothing to be waved through

    typing = page(ada)
    assert typing.claim()[0].reported == []
    Sample.objects.update(lease_until=None)
    verifying = page(ada, Mode.VERIFY)
    item = verifying.claim()[0]
    assert (item.prefill, item.reported) == ("AB", ["AC", "AD"])
    verifying.save(item, "AC")  # against a sure reader: a second person is asked, blind

    second = page(ben, Mode.VERIFY).claim()[0]
    assert (second.key, second.prefill, second.reported) == (item.key, "", [])


def test_a_managers_word_decides_too(report: Callable[..., Sample], boss: Any) -> None:
    resolve(sample=report(), person=boss, text="AC")
    assert decided(["solve 1"]) == {"solve 1": "AC"}


def test_nobody_trains_on_it_until_its_customer_allows_it(
    report: Callable[..., Sample],
    page: OpenPage,
    ada: Any,
    captcha_type: CaptchaType,
    settings: Any,
    tmp_path: Any,
) -> None:
    settings.DATASETS_ROOT = tmp_path
    known, new = drawn("XY"), drawn("AC")
    own = add_image(captcha_type=captcha_type, data=known, name="", source="a crawl")[0]
    resolve(sample=own, person=ada, text="XY")
    both = report("solve 1", data=new)
    report("solve 2", data=new)
    resolve(sample=both, person=ada, text="AC")

    def held() -> list[str]:
        frozen, _ = freeze(captcha_type=captcha_type)
        exported = io.BytesIO()
        export(captcha_type=captcha_type, to=FORMATS["folder"], stream=exported)
        names = [name for name in zipfile.ZipFile(exported).namelist() if name != "labels.csv"]
        texts = sorted(entry.text for entry in read_manifest(frozen))
        assert sorted(name.partition("__")[0] for name in names) == texts
        return texts

    assert held() == ["XY"]
    let_train(["solve 2"], allowed=True)
    assert held() == ["AC", "XY"]
    let_train(["solve 2"], allowed=False)
    assert held() == ["XY"]
    report("solve 3", data=known, correction="XY")  # an image that was here before anybody reported it
    assert held() == ["XY"]
    captcha_type.owner = ada  # who alone reports on it, and for whom it is trained
    captcha_type.save()
    assert held() == ["AC", "XY"]
