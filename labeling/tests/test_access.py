"""Who may do what: members label, those who manage a type do the rest, everybody else meets nothing."""

import errno
import io
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from labeling.models import Assignment, Dataset, Label, Sample
from labeling.tests.conftest import Page, browser_of, drawn
from ml.models import CaptchaType

MakeSample = Callable[..., Sample]

LABELLING = ["/labeling/shop/"]
MANAGING = [
    "/labeling/shop/import",
    "/labeling/shop/datasets",
    "/labeling/shop/export/csv",
    "/labeling/shop/review",
]
CALLS = ["claim", "operations", "release"]
BODY = {"session": str(uuid.uuid4()), "mode": "type", "operations": []}


def call(client: Client, name: str, body: Any, slug: str = "shop") -> Any:
    return client.post(f"/labeling/{slug}/{name}", body, content_type="application/json")


def content(answer: Any) -> bytes:
    """What a file's answer holds; read to its end, which closes it."""
    return b"".join(answer.streaming_content)


def answers(person: Any, address: str) -> int:
    answer = browser_of(person).get(address)
    if answer.streaming:
        content(answer)
    status: int = answer.status_code
    return status


def test_strangers_are_sent_to_log_in(client: Client, captcha_type: CaptchaType) -> None:
    for address in ["/labeling/", *LABELLING, *MANAGING]:
        answer = client.get(address)
        assert (answer.status_code, answer.headers["Location"]) == (302, f"/accounts/login/?next={address}")
    for name in CALLS:
        answer = call(client, name, BODY)
        assert (answer.status_code, answer.json()["code"]) == (401, "session_expired")


def test_outsiders_meet_a_type_as_if_it_did_not_exist(outsider: Any, make_sample: MakeSample) -> None:
    sample, client = make_sample(status="flagged"), browser_of(outsider)
    for address in [*LABELLING, *MANAGING, f"/labeling/shop/review/{sample.pk}/image"]:
        assert client.get(address).status_code == 404, address
        assert client.get(address.replace("shop", "none")).status_code == 404
    for name in CALLS:
        answers = [call(client, name, BODY, slug) for slug in ("shop", "none")]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content == answers[1].content
    for address in ("import", "datasets/freeze", f"review/{sample.pk}"):
        assert client.post(f"/labeling/shop/{address}", {"action": "reopen"}).status_code == 404
    assert b"Shop" not in client.get("/labeling/").content
    assert not Dataset.objects.exists()


def test_labellers_label_and_manage_nothing(ada: Any, make_sample: MakeSample) -> None:
    sample, client = make_sample(), browser_of(ada)
    assert b"Shop" in client.get("/labeling/").content
    for address in LABELLING:
        assert client.get(address).status_code == 200
    for address in [*MANAGING, f"/labeling/shop/review/{sample.pk}/image"]:
        assert client.get(address).status_code == 404, address
    assert client.post("/labeling/shop/datasets/freeze").status_code == 404
    assert call(client, "claim", BODY).json()["items"]


def test_staff_and_the_owner_of_a_private_type_manage_it(
    boss: Any, ada: Any, outsider: Any, captcha_type: CaptchaType
) -> None:
    for address in [*LABELLING, *MANAGING]:
        assert answers(boss, address) == 200, address
    CaptchaType.objects.filter(pk=captcha_type.pk).update(owner=outsider)
    for address in [*LABELLING, *MANAGING]:
        assert answers(outsider, address) == 200, address


def test_an_image_is_shown_to_whom_it_was_given(
    page_of: Callable[..., Page], ada: Any, ben: Any, outsider: Any, make_sample: MakeSample
) -> None:
    make_sample()
    item = page_of(ada).claim()[0]
    answer = browser_of(ada).get(f"/labeling/images/{item.id}")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Cache-Control"] == "private, max-age=86400, immutable"
    assert content(answer).startswith(b"\x89PNG")
    for other in (ben, outsider):
        assert browser_of(other).get(f"/labeling/images/{item.id}").status_code == 404
    assert Client().get(f"/labeling/images/{item.id}").status_code == 401


def test_whoever_is_no_longer_a_member_sees_nothing_more(
    page_of: Callable[..., Page], ada: Any, make_sample: MakeSample
) -> None:
    make_sample()
    item = page_of(ada).claim()[0]
    ada.labeling_memberships.all().delete()
    client = browser_of(ada)
    assert client.get(f"/labeling/images/{item.id}").status_code == 404
    assert call(client, "operations", BODY).status_code == 404


def test_the_page_that_was_left_for_this_one_gives_its_images_back_first(
    ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    make_sample()
    verifying, typing = ({"session": str(uuid.uuid4()), "mode": mode} for mode in ("verify", "type"))
    assert len(call(browser_of(ada), "claim", verifying).json()["items"]) == 1
    left = {"left": verifying["session"]}
    assert call(browser_of(ben), "claim", typing | left).json()["items"] == []  # only one's own page
    assert call(browser_of(ada), "claim", typing).json()["items"] == []
    assert len(call(browser_of(ada), "claim", typing | left).json()["items"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "[]",
        {},
        {"session": "x"},
        BODY | {"mode": "none"},
        BODY | {"count": "ten"},
        BODY | {"count": float("nan")},
        BODY | {"mode": "import"},
        BODY | {"left": "x"},
    ],
)
def test_a_malformed_claim_is_refused_with_a_reason(ada: Any, body: Any) -> None:
    answer = call(browser_of(ada), "claim", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    "operation",
    [
        1,
        {},
        {"operation": "delete"},
        {"operation": "save", "kind": "text", "text": 5},
        {"operation": "save", "kind": "nothing"},
        {"operation": "save", "kind": "text", "text": "AB", "seconds": "1"},
    ],
)
def test_a_malformed_operation_is_refused_with_a_reason(ada: Any, operation: Any) -> None:
    if isinstance(operation, dict):
        operation = {"save_id": str(uuid.uuid4()), "assignment": str(uuid.uuid4())} | operation
    answer = call(browser_of(ada), "operations", BODY | {"operations": [operation]})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_saves_need_the_pages_token(ada: Any, make_sample: MakeSample) -> None:
    make_sample()
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada, backend="accounts.backends.AccountBackend")
    assert call(client, "claim", BODY).status_code == 403
    assert not Assignment.objects.exists()


def test_a_manager_imports_settles_freezes_and_exports(boss: Any, captcha_type: CaptchaType) -> None:
    client = browser_of(boss)
    files = [SimpleUploadedFile("AB.png", drawn()), SimpleUploadedFile("no.png", b"nothing")]
    answer = client.post("/labeling/shop/import", {"files": files, "labelled": "1", "trusted": "1"})
    report = answer.json()
    assert (report["added"], report["labelled"], report["skipped_count"]) == (1, 1, 1)
    sample = Sample.objects.get()
    image = client.get(f"/labeling/shop/review/{sample.pk}/image")
    assert content(image).startswith(b"\x89PNG")
    Sample.objects.update(status="flagged")
    assert b"Flagged" in client.get("/labeling/shop/review").content
    client.post(f"/labeling/shop/review/{sample.pk}", {"action": "text", "text": "ac"})
    assert Sample.objects.get().text == "AC"
    assert Label.objects.get(person=boss).text == "AC"
    page = client.post("/labeling/shop/datasets/freeze", follow=True).content.decode()
    assert "Data set 1 was frozen." in page
    assert "Nothing changed since data set 1" in page
    answer = client.get("/labeling/shop/export/folder")
    names = zipfile.ZipFile(io.BytesIO(content(answer))).namelist()
    assert names == [f"AC__{sample.pk}.png", "labels.csv"]
    assert client.get("/labeling/shop/export/none").status_code == 404


def test_a_zip_may_be_no_larger_than_the_setting_says(
    boss: Any, captcha_type: CaptchaType, settings: Any
) -> None:
    settings.MAX_IMPORT_BYTES = 1024
    answer = browser_of(boss).post(
        "/labeling/shop/import", {"files": SimpleUploadedFile("a.zip", bytes(4096))}
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_full_disk_is_said_to_the_page(
    boss: Any, captcha_type: CaptchaType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("labeling.importing.add_image", full)
    answer = browser_of(boss).post("/labeling/shop/import", {"files": SimpleUploadedFile("a.png", drawn())})
    assert (answer.status_code, answer.json()["code"]) == (507, "storage")
    assert not Sample.objects.exists()


def test_pages_carry_no_inline_code_and_no_inline_style(boss: Any, make_sample: MakeSample) -> None:
    make_sample()
    client = browser_of(boss)
    for address in [
        "/labeling/",
        *LABELLING,
        "/labeling/shop/?mode=grid",
        *MANAGING[:2],
        "/labeling/shop/review",
    ]:
        answer = client.get(address)
        page = answer.content.decode()
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "style=" not in page
        assert "<style" not in page
        assert page.count("<script") == page.count('<script type="module" src=')
