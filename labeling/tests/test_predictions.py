"""What the serving reader makes of the images, with a real registry and ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labeling import queue
from labeling.models import Sample
from labeling.predictions import refresh_predictions
from labeling.tests.conftest import Page, browser_of
from labeling.tests.test_access import BODY, call
from ml.models import CaptchaType
from ml.services import install_shipped_models
from ml.tests.artifacts import write_reader

MakeSample = Callable[..., Sample]


@pytest.fixture
def reader(captcha_type: CaptchaType, settings: Any) -> None:
    """A general reader that writes AB12 on everything."""
    write_reader(Path(settings.SHIPPED_ARTIFACTS), "general", text="AB12")
    install_shipped_models()


def test_open_images_are_read_once_by_a_version(
    reader: None, captcha_type: CaptchaType, make_sample: MakeSample
) -> None:
    sample = make_sample()
    make_sample(status="agreed", text="AB")
    assert refresh_predictions(captcha_type=captcha_type) == 1
    assert refresh_predictions(captcha_type=captcha_type) == 0
    sample.refresh_from_db()
    assert (sample.prediction, sample.model_version) == ("AB12", "general/1")
    assert sample.confidence == pytest.approx(1.0, abs=0.01)
    assert len(sample.characters) == 4


def test_a_reading_that_breaks_the_rules_is_no_prediction(
    reader: None, captcha_type: CaptchaType, make_sample: MakeSample
) -> None:
    CaptchaType.objects.update(alphabet="XYZ")
    captcha_type.refresh_from_db()
    sample = make_sample()
    refresh_predictions(captcha_type=captcha_type)
    sample.refresh_from_db()
    assert set(sample.prediction) <= set("XYZ")


def test_of_equally_sure_images_the_ones_with_rare_characters_come_first(
    captcha_type: CaptchaType, make_sample: MakeSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labeling import predictions

    seen = predictions.Counter({"A": 50, "B": 50})
    common = predictions._priority(0.52, "AB", seen)
    rare = predictions._priority(0.53, "AZ", seen)
    rarer_by_now = predictions._priority(0.53, "AZ", seen)
    unsure = predictions._priority(0.2, "AB", seen)
    assert unsure < rare < rarer_by_now < common


def test_a_claim_reads_before_it_gives(
    reader: None, ada: Any, make_sample: MakeSample, page_of: Callable[..., Page]
) -> None:
    make_sample()
    items = call(browser_of(ada), "claim", BODY | {"mode": "verify"}).json()["items"]
    assert [item["prefill"] for item in items] == ["AB12"]
    assert items[0]["confidences"][0] == queue.GRID_CONFIDENCE or items[0]["confidences"][0] > 0.99
