"""What bad input gets, at both endpoints: a 4xx that says what is wrong and that nothing was charged."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rest_framework.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken

from accounts import credits, services, tokens
from accounts.models import LedgerEntry, User
from solving.models import IdempotencyKey, Solve
from solving.tests.conftest import Caller, assert_problem, part
from solving.tests.pictures import animated, bomb, encode, picture

ENDPOINTS = [("/upload_captcha", "captcha_image"), ("/api/v1/solves", "image")]
UPLOADS: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "not an image": (lambda: b"There is no picture in here. " * 20, 400, "image_not_an_image"),
    "truncated JPEG": (lambda: picture(0, "JPEG")[:-200], 400, "image_truncated"),
    "truncated PNG": (lambda: picture()[:-20], 400, "image_truncated"),
    "zero bytes": (lambda: b"", 400, "image_empty"),
    "20 MB": (lambda: picture() + bytes(20_000_000), 413, "image_too_large"),
    "just above the limit": (lambda: picture() + bytes(2 * 1024 * 1024), 413, "image_too_large"),
    "a bomb of 30,000 by 30,000": (bomb, 400, "image_too_many_pixels"),
    "animated": (animated, 400, "image_animated"),
    "CMYK": (lambda: encode(Image.new("CMYK", (120, 40)), "JPEG"), 400, "image_unsupported_format"),
    "1 by 1": (lambda: encode(Image.new("RGB", (1, 1)), "PNG"), 400, "image_too_small"),
    "a PDF named .png": (lambda: b"%PDF-1.7\n" + bytes(500), 400, "image_unsupported_format"),
    "an SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", 400, "image_unsupported_format"),
    "a TIFF": (lambda: encode(Image.new("RGB", (120, 40)), "TIFF"), 400, "image_unsupported_format"),
}


@pytest.fixture(params=ENDPOINTS, ids=[path for path, _ in ENDPOINTS])
def endpoint(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Path and name of the image's part."""
    path, name = request.param
    return path, name


@pytest.fixture(autouse=True)
def nothing_happened(user: User, temporary_folder: Path) -> Any:
    """After each request here the ledger is as before, nothing was read, and no file was left."""
    entries = list(LedgerEntry.objects.order_by("pk").values())
    yield
    assert list(LedgerEntry.objects.order_by("pk").values())[: len(entries)] == entries
    assert not LedgerEntry.objects.filter(kind="charge").exists()
    assert not Solve.objects.exists()
    assert not IdempotencyKey.objects.exists()
    assert list(temporary_folder.iterdir()) == []


def assert_refused(response: Any, status: int, code: str) -> None:
    """A problem below /api/, the original's wording elsewhere; both say that nothing was charged."""
    if response.request["PATH_INFO"].startswith("/api/"):
        body = assert_problem(response, status, code)
        assert body["detail"].endswith("Nothing was charged.")
        assert body["charged"] == 0
        return
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"detail"}
    assert body["detail"].startswith("Oops! ")
    assert body["detail"].endswith("No credits were taken.")
    assert len(body["detail"]) > len("Oops! No credits were taken.") + 10


@pytest.mark.parametrize("case", UPLOADS)
def test_what_is_no_picture_to_read(caller: Caller, endpoint: tuple[str, str], case: str) -> None:
    path, name = endpoint
    make, status, code = UPLOADS[case]
    response = caller.post(path, {name: part(make())}, **{"idempotency-key": "a-key"})
    assert_refused(response, status, code)


@pytest.mark.parametrize("case", ["not an image", "truncated PNG", "zero bytes", "1 by 1"])
def test_the_same_in_base64(caller: Caller, case: str) -> None:
    make, status, code = UPLOADS[case]
    body = json.dumps({"image": base64.b64encode(make()).decode()})
    response = caller.client.post("/api/v1/solves", body, content_type="application/json")
    assert_refused(response, status, code)


def test_a_missing_part(caller: Caller, endpoint: tuple[str, str]) -> None:
    assert_refused(caller.post(endpoint[0], {}), 400, "image_missing")


def test_a_part_of_another_name(caller: Caller, endpoint: tuple[str, str]) -> None:
    assert_refused(caller.post(endpoint[0], {"file": part(picture())}), 400, "image_unexpected_part")


def test_a_text_where_the_file_belongs(caller: Caller, endpoint: tuple[str, str]) -> None:
    assert_refused(caller.post(endpoint[0], {endpoint[1]: "captcha.png"}), 400, "image_missing")


def test_two_parts(caller: Caller, endpoint: tuple[str, str]) -> None:
    path, name = endpoint
    assert_refused(caller.post(path, {name: [part(picture()), part(picture())]}), 400, "image_repeated")


def test_two_parts_under_both_names(caller: Caller, endpoint: tuple[str, str]) -> None:
    form = {"image": part(picture()), "captcha_image": part(picture())}
    assert_refused(caller.post(endpoint[0], form), 400, "image_repeated")


def test_no_token(endpoint: tuple[str, str]) -> None:
    path, name = endpoint
    response = Caller().post(path, {name: part(picture())})
    assert_refused(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "ey" * 5000])
def test_a_token_that_is_none(endpoint: tuple[str, str], token: str) -> None:
    path, name = endpoint
    assert_refused(Caller(token=token).post(path, {name: part(picture())}), 401, "token_not_valid")


def test_a_stale_token(endpoint: tuple[str, str], user: User) -> None:
    path, name = endpoint
    token = AccessToken.for_user(user)
    token.set_exp(lifetime=timedelta(seconds=-1))
    assert_refused(Caller(token=str(token)).post(path, {name: part(picture())}), 401, "token_not_valid")


def test_a_deleted_users_token(endpoint: tuple[str, str], outsider: User) -> None:
    path, name = endpoint
    caller = Caller(outsider)
    services.delete_user(user=outsider, actor=None)
    assert_refused(caller.post(path, {name: part(picture())}), 401, "user_not_found")


def test_a_suspended_users_token(endpoint: tuple[str, str], user: User) -> None:
    path, name = endpoint
    caller = Caller(user)
    services.suspend_user(user=user, actor=None)
    assert_refused(caller.post(path, {name: part(picture())}), 401, "user_inactive")


def test_a_token_from_before_the_password_changed(endpoint: tuple[str, str], user: User) -> None:
    path, name = endpoint
    token = tokens.access_token(user=user)
    services.change_password(user=user, password="quite another one 42")
    assert_refused(Caller(token=token).post(path, {name: part(picture())}), 401, "password_changed")


def test_no_credits(endpoint: tuple[str, str], make_user: Callable[..., User]) -> None:
    path, name = endpoint
    poor = make_user("poor", balance=0)
    response = Caller(poor).post(path, {name: part(picture())}, **{"idempotency-key": "a-key"})
    assert_refused(response, 402, "insufficient_credits")
    assert credits.balance(poor) == 0


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_another_method(caller: Caller, endpoint: tuple[str, str], method: str) -> None:
    response = getattr(caller.client, method)(endpoint[0])
    assert response.status_code == 405
    assert "POST" in response["Allow"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "image/png", "application/xml", ""]
)
def test_another_content_type(caller: Caller, endpoint: tuple[str, str], content_type: str) -> None:
    response = caller.client.generic("POST", endpoint[0], picture(), content_type=content_type)
    assert_refused(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\n"),
        ("multipart/form-data; boundary=", b"--\r\n"),
        ("multipart/form-data; boundary=\xe4", b"--\xe4\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x\r\n"),
    ],
)
def test_a_malformed_form(caller: Caller, endpoint: tuple[str, str], content_type: str, body: bytes) -> None:
    response = caller.client.generic("POST", endpoint[0], body, content_type=content_type)
    assert_refused(response, 400, "body_malformed")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b" ", "body_malformed"),
        (b"{", "body_malformed"),
        (b"\xff\xfe{}", "body_malformed"),
        (b"[]", "body_malformed"),
        (b'"image"', "body_malformed"),
        (b"[" * 100_000, "body_malformed"),
        (b'{"a":' * 50_000, "body_malformed"),
        (b"{}", "image_missing"),
        (b'{"image": null}', "image_not_base64"),
        (b'{"image": 5}', "image_not_base64"),
        (b'{"image": "%%%"}', "image_not_base64"),
        (b'{"image": "\\ud800"}', "image_not_base64"),
        (b'{"image": ""}', "image_empty"),
        (b'{"image": "data:image/png;base64"}', "image_empty"),
        (b'{"image": "", "captcha_image": ""}', "image_repeated"),
    ],
)
def test_malformed_json(caller: Caller, body: bytes, code: str) -> None:
    response = caller.client.post("/api/v1/solves", body, content_type="application/json")
    assert_refused(response, 400, code)


def test_too_many_parts(caller: Caller, endpoint: tuple[str, str]) -> None:
    files = {f"file{number}": part(b"x") for number in range(101)}
    assert_refused(caller.post(endpoint[0], files), 400, "too_many_files")
    fields = {f"field{number}": "x" for number in range(1001)}
    assert_refused(caller.post(endpoint[0], fields), 400, "too_many_fields")


def test_a_repeated_hint(caller: Caller) -> None:
    response = caller.post("/api/v1/solves", {"image": part(picture()), "max_length": ["4", "5"]})
    assert_refused(response, 400, "parameter_repeated")


def test_a_body_without_a_length(caller: Caller, endpoint: tuple[str, str]) -> None:
    response = caller.client.post(
        endpoint[0], {endpoint[1]: part(picture())}, headers={"transfer-encoding": "chunked"}
    )
    assert_refused(response, 411, "length_required")


@pytest.mark.parametrize("key", ["", "two\twords", "schlüssel", "k" * 256])
def test_a_malformed_idempotency_key(caller: Caller, endpoint: tuple[str, str], key: str) -> None:
    path, name = endpoint
    response = caller.client.post(path, {name: part(picture())}, HTTP_IDEMPOTENCY_KEY=key)
    assert_refused(response, 400, "idempotency_key_malformed")


def test_too_many_requests(
    caller: Caller, endpoint: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "solve", "2/hour")
    path, _ = endpoint
    for _ in range(2):
        assert caller.post(path, {}).status_code == 400
    response = caller.post(path, {})
    assert_refused(response, 429, "throttled")
    assert 0 < int(response["Retry-After"]) <= 3600
    assert response["RateLimit-Policy"] == '"solve";q=2;w=3600'
    assert response["RateLimit"].startswith('"solve";r=0;t=')
