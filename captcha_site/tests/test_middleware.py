"""What is passed by where no page is, and what is not."""

from typing import Any

import pytest
from django.test import Client

from accounts import tokens
from accounts.models import User
from captcha_site import middleware

SECURITY_HEADERS = (
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
)


WITHOUT_CREDENTIALS = {
    "/api/v1/solves": 401,
    "/upload_captcha": 401,
    # The dialects say it in their own way.
    "/createTask": 200,
    "/getTaskResult": 200,
    "/in.php": 200,
    "/res.php": 200,
    "/api/captcha": 403,
}
TAKES_A_TOKEN = [path for path, status in WITHOUT_CREDENTIALS.items() if status == 401]


def test_each_address_is_looked_at() -> None:
    assert set(WITHOUT_CREDENTIALS) == set(middleware.WITHOUT_PAGES)


@pytest.mark.parametrize("path", WITHOUT_CREDENTIALS)
@pytest.mark.parametrize("debug", [True, False])
def test_every_answer_has_the_security_headers_of_a_page(
    db: None, settings: Any, path: str, debug: bool
) -> None:
    settings.DEBUG = debug
    answer, page = Client().post(path), Client().get("/info")
    assert answer.status_code == WITHOUT_CREDENTIALS[path]
    for name in SECURITY_HEADERS:
        assert answer[name] == page[name]


@pytest.mark.parametrize("path", WITHOUT_CREDENTIALS)
def test_a_session_is_no_token(user: User, path: str) -> None:
    client = Client()
    client.force_login(user, "accounts.backends.AccountBackend")
    answer, stranger = client.post(path), Client().post(path)
    assert answer.status_code == WITHOUT_CREDENTIALS[path]
    assert answer.content == stranger.content


@pytest.mark.parametrize("path", TAKES_A_TOKEN)
def test_a_token_needs_no_cookie_and_gets_none(user: User, path: str) -> None:
    token = tokens.access_token(user=user)
    client = Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {token}"})
    answer = client.post(path, {})
    assert answer.status_code == 400  # the image is missing
    assert not answer.cookies


def test_pages_keep_their_sessions_and_tokens(user: User) -> None:
    page = Client().get("/admin/login/")
    assert (page.status_code, set(page.cookies)) == (200, {"csrftoken"})
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/admin/login/", {"username": "ada", "password": "x"}).status_code == 403
