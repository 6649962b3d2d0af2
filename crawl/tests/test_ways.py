"""Every way to a captcha that a source can describe, by real Scrapy from the real practice site."""

from typing import Any

import pytest

from crawl.models import CaptchaSource, CrawledImage
from crawl.tests.conftest import Crawler, MakeSource
from labeling.models import Label, Sample

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = {"image": "img#captcha", "truth": "img#captcha::attr(data-text)"}
WAYS: dict[str, dict[str, Any]] = {
    "type A's: consent, then an image of the session": {
        "start_url": "/consent/ripples/",
        "consent_form": "form#aspnetForm",
        "consent_button": '//input[@value="I agree"]',
        **PAGE,
    },
    "type B's: one address, another image at every visit": {
        "start_url": "/constant/sums/captcha.png",
        "start": "image",
        "session": "kept",
        "truth": "text",
        "truth_url": "/constant/sums/answer.json",
    },
    "consent once, then a new page each time": {
        "start_url": "/consent/sums/",
        "consent_form": "//form",
        "consent_button": "input[value='I agree']",
        "session": "kept",
        **PAGE,
    },
    "a refresh button": {
        "start_url": "/refresh/sums/",
        "session": "kept",
        "again": "refresh",
        "refresh": "a#refresh",
        **PAGE,
    },
    "the image's address once more": {
        "start_url": "/constant/sums/",
        "session": "kept",
        "again": "image",
        "image": '//img[@id="captcha"]/@src',
        "truth": "text",
        "truth_url": "/constant/sums/answer.json",
    },
    "an image inside the page": {"start_url": "/data/sums/", **PAGE},
    "JSON with an address": {
        "start_url": "/json/sums/new",
        "start": "json",
        "image": "captcha.image",
        "truth": "captcha.text",
    },
    "JSON with the image": {
        "start_url": "/json/sums/inline",
        "start": "json",
        "image": "captcha.image",
        "truth": "captcha.text",
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_it_brings_as_many_images_as_asked_for_each_with_its_text(
    way: str, make_source: MakeSource, crawl: Crawler, practice: Any
) -> None:
    described = dict(WAYS[way])
    if "truth_url" in described:
        described["truth_url"] = practice.url + described["truth_url"]
    crawled = crawl(make_source(**described), "--count", "3")
    assert crawled.code == 0, crawled.output
    assert (crawled.run.state, crawled.run.kept, crawled.run.labelled) == ("complete", 3, 3)
    assert (crawled.run.duplicates, crawled.run.drops) == (0, {})
    assert Sample.objects.filter(status=Sample.Status.AGREED, trusted=True).count() == 3
    assert Label.objects.count() == 3


def test_each_image_has_its_trail(make_source: MakeSource, crawl: Crawler, practice: Any) -> None:
    source = make_source("/constant/sums/captcha.png", start=CaptchaSource.Start.IMAGE)
    run = crawl(source, "--count", "2").run
    trail = list(CrawledImage.objects.filter(run=run))
    assert len(trail) == 2
    for image in trail:
        assert image.url == f"{practice.url}/constant/sums/captcha.png"
        assert image.sample is not None
        assert image.sample.sha256 == image.sha256
        assert image.sample.source == f"crawl {source.slug}, run {run.pk}"
        assert run.started <= image.fetched <= run.ended  # type: ignore[operator]
    assert run.by.endswith(f" on {run.machine}")
    assert run.authorisation.startswith("Ada, until ")
    trail[0].sample.delete()  # type: ignore[union-attr]
    trail[0].refresh_from_db()
    assert trail[0].sample is None


def test_a_site_may_have_a_spider_of_its_own(make_source: MakeSource, crawl: Crawler) -> None:
    source = make_source("/constant/sums/captcha.png", start="image", spider="headless")
    crawled = crawl(source, "--count", "2", CRAWL_SPIDER_MODULES="crawl.tests.own_spider")
    assert crawled.code == 0, crawled.output
    assert set(Sample.objects.values_list("text", flat=True)) == {"OWN"}
