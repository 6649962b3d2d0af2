"""Role by page by other people's types: whoever has no part in one meets it as if it did not exist."""

import io
import re
import uuid
import zipfile
from typing import Any

import pytest
from django.test import Client

from accounts import tokens
from accounts.models import User
from labeling.models import Sample
from ml.models import CaptchaType
from own_types.models import Training
from own_types.tests.conftest import bring, browser_of, entries, opened, order

pytestmark = [pytest.mark.usefixtures("readers", "_no_launch")]

OWN = "/accounts/types/{slug}/"
PAGES = [
    OWN, OWN + "training", OWN + "delete", "/types/{slug}/", "/labeling/{slug}/", "/labeling/{slug}/import",
    "/labeling/{slug}/datasets", "/labeling/{slug}/datasets/training", "/labeling/{slug}/export/csv",
    "/labeling/{slug}/export/folder", "/labeling/{slug}/review", "/labeling/{slug}/review/{sample}/image",
    "/jobs/{run}", "/jobs/{run}/state",
]  # fmt: skip
ORDERS = [
    OWN + "train", OWN + "cancel", OWN + "promote", OWN + "delete", "/labeling/{slug}/import",
    "/labeling/{slug}/datasets/promote", "/labeling/{slug}/review/{sample}", "/jobs/{run}/cancel",
]  # fmt: skip
CALLS = ["/labeling/{slug}/claim", "/labeling/{slug}/operations", "/labeling/{slug}/release"]
STAFFS = ["/labeling/{slug}/datasets/freeze", "/labeling/{slug}/datasets/train"]
BODY = {"session": str(uuid.uuid4()), "mode": "type", "operations": []}


@pytest.fixture
def named(ada: User, gate: CaptchaType) -> dict[str, Any]:
    """What the addresses of Ada's type, an image of it and its training are made of."""
    placed = order(ada, gate)
    assert placed.run is not None
    return {"slug": gate.slug, "sample": Sample.objects.order_by("pk")[0].pk, "run": placed.run.pk}


def status(answer: Any) -> int:
    if answer.streaming:
        b"".join(answer.streaming_content)
    code: int = answer.status_code
    return code


def body_of(answer: Any) -> str:
    """The page without what is new in each."""
    return re.sub(r"\w{16,}", "", answer.content.decode())


def test_the_owner_sees_all_pages(ada: User, named: dict[str, Any]) -> None:
    browser = browser_of(ada)
    for page in PAGES:
        assert status(browser.get(page.format(**named))) == 200, page


def test_another_customer_meets_what_is_not_there(ada: User, eve: User, named: dict[str, Any]) -> None:
    browser = browser_of(eve)
    bring(eve, opened(eve))  # she has one of her own
    none = {"slug": f"u{ada.pk}_none", "sample": 2**40, "run": 2**40}
    for page in PAGES:
        theirs, missing = (browser.get(page.format(**names)) for names in (named, none))
        assert (theirs.status_code, missing.status_code) == (404, 404), page
        assert body_of(theirs) == body_of(missing), page
    form = {"version": "1", "name": named["slug"], "key": str(uuid.uuid4()), "action": "reopen"}
    for address in [*ORDERS, *STAFFS]:
        assert browser.post(address.format(**named), form).status_code == 404, address
    for address in CALLS:
        answers = [
            browser.post(address.format(**names), BODY, content_type="application/json")
            for names in (named, none)
        ]
        assert [one.status_code for one in answers] == [404, 404]
        assert answers[0].content == answers[1].content
    assert CaptchaType.objects.filter(slug=named["slug"]).exists()
    assert Training.objects.get().state == "under_way"


def test_no_list_of_anothers_names_it(eve: User, named: dict[str, Any]) -> None:
    browser = browser_of(eve)
    lists = [
        "/accounts/types/",
        "/types/",
        "/labeling/",
        "/playground",
        "/accounts/",
        "/accounts/delete/",
        "/",
    ]
    for address in lists:
        assert named["slug"] not in browser.get(address).content.decode(), address
    bearer = Client(headers={"authorization": f"Bearer {tokens.access_token(user=eve)}"})
    assert named["slug"] not in bearer.get("/api/v1/captcha-types").content.decode()
    exported = browser.post("/accounts/data/export").getvalue()
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        assert not any(named["slug"] in name for name in archive.namelist())
        assert not any(named["slug"].encode() in archive.read(name) for name in archive.namelist())


def test_strangers_are_sent_to_the_log_in(client: Client, named: dict[str, Any]) -> None:
    for page in PAGES:
        answer = client.get(page.format(**named))
        told = answer.status_code, answer.headers.get("Location", "").startswith("/accounts/login/?next=")
        assert told in [(302, True), (404, False)], page
    for address in ORDERS:
        assert client.post(address.format(**named)).status_code == 302, address
    assert client.get("/accounts/types/").status_code == 302


def test_staff_see_all_and_order_nothing_in_anothers_name(
    clerk: User, ada: User, named: dict[str, Any]
) -> None:
    browser = browser_of(clerk)
    for page in PAGES:
        if page in (OWN + "delete", "/types/{slug}/") or page.startswith("/jobs/"):
            continue
        assert status(browser.get(page.format(**named))) == 200, page
    shown = browser.get(OWN.format(**named)).content.decode()
    assert "<form" not in shown.split("<h1>")[1]
    for address in [one for one in ORDERS if one.startswith(OWN)]:
        form = {"name": named["slug"], "key": str(uuid.uuid4()), "version": "1"}
        assert browser.post(address.format(**named), form).status_code == 404, address
    assert entries(clerk) == []
    assert CaptchaType.objects.filter(slug=named["slug"]).exists()


def test_owners_neither_freeze_nor_train_without_paying(ada: User, named: dict[str, Any]) -> None:
    browser = browser_of(ada)
    for address in STAFFS:
        assert browser.post(address.format(**named)).status_code == 404, address
    page = browser.get("/labeling/{slug}/datasets".format(**named)).content.decode()
    assert '/datasets/train"' not in page
    assert '<th scope="col">Folder</th>' not in page  # where things lie on the machine


def test_the_log_of_a_training_is_for_staff(ada: User, named: dict[str, Any]) -> None:
    shown = browser_of(ada).get((OWN + "training").format(**named)).json()
    assert shown["log"] is None
    assert "job-log" not in browser_of(ada).get(OWN.format(**named)).content.decode()
