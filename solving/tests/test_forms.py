"""The short way through a usual form gives what Django's own parser gives."""

from typing import Any

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from solving import uploads
from solving.errors import UploadError

BOUNDARY = "------------------------0a1b2c"
USUAL = (
    'Content-Disposition: form-data; name="image"; filename="captcha.png"\r\nContent-Type: image/png\r\n\r\n'
)
HEADS = [
    USUAL,
    USUAL.replace('"image"', '"captcha_image"'),
    USUAL.replace("Content-Type: image/png\r\n", ""),
    USUAL.replace("captcha.png", "a captcha (1).png"),
    USUAL.replace("captcha.png", "schlüssel.png"),
    USUAL.replace("captcha.png", ""),
    USUAL.replace("captcha.png", ".."),
    USUAL.replace("captcha.png", "../../x/"),
    USUAL.replace("captcha.png", "&#47;"),
    USUAL.replace('"image"', '"file"'),
    USUAL.replace('; filename="captcha.png"', ""),
    USUAL.replace('name="image"', "name=image"),
    USUAL.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
    USUAL.replace("Content-Disposition", "content-disposition"),
    USUAL.removesuffix("\r\n"),
    "",
]
BODIES = [b"", b"\r\n", b"--", b"PNG\r\n--other\r\nbytes", b"AAAA", b"x" * 200_000, BOUNDARY.encode()]
CONTENT_TYPES = [
    f"multipart/form-data; boundary={BOUNDARY}",
    f'multipart/form-data; boundary="{BOUNDARY}"',
    f"multipart/form-data; boundary={BOUNDARY}; charset=utf-8",
    "multipart/form-data; boundary=another",
]


def outcome(content_type: str, body: bytes) -> tuple[Any, ...]:
    request = RequestFactory().generic("POST", "/upload_captcha", body, content_type=content_type)
    try:
        upload = uploads.read_upload(request)
    except UploadError as error:
        return error.status, error.code
    return upload.image, dict(upload.parameters)


def both_ways(content_type: str, body: bytes) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        shorter = outcome(content_type, body)
        monkeypatch.setattr(uploads, "_only_file", lambda *_: None)
        return shorter, outcome(content_type, body)


def form(head: str, content: bytes, end: str = f"\r\n--{BOUNDARY}--\r\n") -> bytes:
    return f"--{BOUNDARY}\r\n{head}".encode() + content + end.encode()


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
@pytest.mark.parametrize("head", HEADS)
def test_both_ways_agree(content_type: str, head: str) -> None:
    for content in BODIES:
        shorter, by_django = both_ways(content_type, form(head, content))
        assert shorter == by_django


@pytest.mark.parametrize(
    "end",
    [
        f"\r\n--{BOUNDARY}--",
        f"--{BOUNDARY}--\r\n",
        f"\r\n--{BOUNDARY}\r\n{USUAL}second\r\n--{BOUNDARY}--\r\n",
        f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="case"\r\n\r\nupper\r\n--{BOUNDARY}--\r\n',
        f"\r\n--{BOUNDARY}--\r\nan epilogue\r\n--{BOUNDARY}--\r\n",
        "",
    ],
)
def test_both_ways_agree_on_the_end(end: str) -> None:
    shorter, by_django = both_ways(CONTENT_TYPES[0], form(USUAL, b"bytes", end))
    assert shorter == by_django


@given(st.binary(max_size=300), st.integers(0, 400), st.binary(max_size=4))
def test_both_ways_agree_on_damaged_forms(content: bytes, position: int, replacement: bytes) -> None:
    body = form(USUAL, content)
    body = body[:position] + replacement + body[position + len(replacement) :]
    shorter, by_django = both_ways(CONTENT_TYPES[0], body)
    assert shorter == by_django


@pytest.mark.parametrize("head", HEADS[:4])
def test_a_usual_form_goes_the_short_way(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.http.HttpRequest.parse_file_upload", None)
    assert outcome(CONTENT_TYPES[0], form(head, b"bytes")) == (b"bytes", {})
