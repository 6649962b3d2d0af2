"""Errors outside of any endpoint: problems below /api/, elsewhere pages for browsers, JSON for programs."""

import json
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import DatabaseError, DataError, InterfaceError, OperationalError
from django.test import Client, RequestFactory
from rest_framework import exceptions
from rest_framework.test import APIRequestFactory

from accounts.errors import TooManyRequests
from captcha_site import problems, views
from solving.errors import InvalidParameter
from solving.tests.conftest import assert_problem


@pytest.fixture(params=[True, False], ids=["DEBUG", "production"])
def _debug(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.DEBUG = request.param


@pytest.mark.usefixtures("_debug")
@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v2/solves",
        "/api/v1/solves/",
        "/api/v1/solves/x",
        "/api/%00",
        "/api/ü",
    ],
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_unknown_address_below_api_is_a_problem(method: str, path: str) -> None:
    client = Client(enforce_csrf_checks=True)  # as of a program, which has no cookie
    assert_problem(getattr(client, method)(path, headers={"accept": "text/html"}), 404, "not_found")


def test_a_slash_too_many_is_named() -> None:
    body = assert_problem(Client().post("/api/v1/solves/"), 404, "not_found")
    assert "/api/v1/solves, without the slash" in body["detail"]
    assert "slash" not in Client().post("/api/v1/nope/").json()["detail"]


def test_an_unknown_address_elsewhere_is_a_page_for_browsers_and_json_for_programs(settings: Any) -> None:
    settings.DEBUG = False
    page = Client().get("/nowhere", headers={"accept": "text/html,*/*"})
    assert (page.status_code, page["Content-Type"]) == (404, "text/html; charset=utf-8")
    answer = Client().get("/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"detail": "There is nothing at this address."})


@pytest.mark.parametrize("path", ["/accounts/data/export", "/labeling/shop/datasets/train"])
def test_an_address_that_takes_forms_alone_is_a_page_with_a_way_back(path: str) -> None:
    page = Client().get(path, headers={"accept": "text/html"})
    assert (page.status_code, page["Allow"]) == (405, "POST")
    assert 'href="/accounts/"' in page.content.decode()
    assert Client().get(path).content == b""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5, "in a minute"), (3541, "in about 60 minutes"), (86400, "in about 24 hours")],
)
def test_a_page_says_when_to_come_back_as_people_do(seconds: int, said: str) -> None:
    request = RequestFactory().get("/try", headers={"accept": "text/html"})
    answer = problems.domain_error(request, TooManyRequests(seconds))
    assert answer is not None
    assert f"Try again {said};" in answer.content.decode()


def fail(*args: Any) -> None:
    raise KeyError("a secret of ours")


def test_error_pages_lead_back_and_name_the_request(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEBUG = False
    monkeypatch.setattr("captcha_site.views.examples", fail)
    client = Client(raise_request_exception=False, enforce_csrf_checks=True, headers={"accept": "text/html"})
    for answer, status in (
        (client.get("/nowhere"), 404),
        (client.post("/accounts/login/", {"username": "a", "password": "b"}), 403),
        (client.get("/info"), 500),
    ):
        page = answer.content.decode()
        assert answer.status_code == status
        assert answer["X-Request-ID"] in page
        assert 'href="/"' in page
        assert "secret" not in page
        assert "unsafe" not in answer["Content-Security-Policy"]


def test_a_host_that_is_not_ours_is_a_bad_request(settings: Any) -> None:
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["captcha.example.org"]
    response = Client().get("/api/v1/captcha-types", headers={"host": "evil.example.org"})
    assert_problem(response, 400, "bad_request")


def test_a_defect_of_ours_is_a_problem_without_details(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise KeyError("a secret of ours")

    settings.DEBUG = False
    monkeypatch.setattr("captcha_site.openapi._document", fail)
    response = Client(raise_request_exception=False).get("/api/schema/")
    body = assert_problem(response, 500, "internal_error")
    assert "secret" not in str(body)


def test_a_database_that_does_not_answer_is_out_of_order_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("FATAL: password of user captcha at 10.0.0.7 …")

    monkeypatch.setattr("ml.registry.available_types", fail)
    response = Client().get("/api/v1/captcha-types")
    body = assert_problem(response, 503, "unavailable")
    assert response["Retry-After"] == "2"
    assert "10.0.0.7" not in body["detail"]


def test_every_way_an_image_can_be_wrong_has_its_problem() -> None:
    from ml.recognition.images import ImageError

    for code, (status, name) in problems.IMAGE_ERRORS.items():
        problem = problems.problem_of(ImageError(code, "the file is wrong"))
        assert problem is not None
        assert (problem.status, problem.code) == (status, name)


def test_what_no_client_can_cause_is_no_problem_but_a_defect() -> None:
    assert problems.problem_of(KeyError("x")) is None


def test_nested_complaints_name_their_fields() -> None:
    error = exceptions.ValidationError(
        {
            "username": ["Too short.", "Too plain."],
            "tags": [{}, {"name": ["Missing."]}],
            "non_field_errors": ["No."],
        }
    )
    problem = problems.problem_of(error)
    assert problem is not None
    assert problem.extensions["errors"] == [
        {"field": "username", "message": "Too short."},
        {"field": "username", "message": "Too plain."},
        {"field": "tags.1.name", "message": "Missing."},
        {"field": "", "message": "No."},
    ]
    assert problem.detail == "username: Too short. username: Too plain. tags.1.name: Missing. No."


@pytest.mark.parametrize("path", ["/api/v1/solves", "/upload_captcha"])
def test_a_field_is_named_as_it_was_sent(path: str) -> None:
    request = APIRequestFactory().post(path)
    error = InvalidParameter("min_length", "must be a whole number from 1 to 64.")
    response = problems.exception_handler(error, {"request": request, "view": Mock(costs_credits=True)})
    assert response is not None
    assert "min_length: must be a whole number" in json.loads(response.content)["detail"]


def test_the_original_addresses_answer_with_a_detail() -> None:
    request = APIRequestFactory().post("/get_token")
    error = exceptions.AuthenticationFailed("Incorrect username or password")
    error.auth_header = "Bearer"  # type: ignore[attr-defined]
    response = problems.exception_handler(error, {"request": request, "view": views})
    assert response is not None
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.content == b'{"detail": "Incorrect username or password"}'


def test_a_wait_is_told_in_whole_seconds() -> None:
    request = APIRequestFactory().post("/api/v1/token")
    response = problems.exception_handler(exceptions.Throttled(wait=1.2), {"request": request})
    assert response is not None
    assert (response.status_code, response["Retry-After"]) == (429, "2")
    assert response["RateLimit"] == '"default";r=0;t=2'


@pytest.mark.parametrize(
    "where", ["captcha_site.views.render", "captcha_site.middleware.MessageMiddleware.process_request"]
)
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_a_page_without_its_database_says_when_to_come_back(
    client: Client, monkeypatch: pytest.MonkeyPatch, where: str, accept: str
) -> None:
    """In its view, or before: where its session is read."""
    monkeypatch.setattr(where, Mock(side_effect=OperationalError("gone: host db.internal")))
    monkeypatch.setattr("captcha_site.views.serving_models", list)
    client.raise_request_exception = False
    answer = client.get("/", headers={"Accept": accept})
    if where.endswith("render") and accept == "*/*":
        assert answer.status_code == 200  # a program's answer renders no page
        return
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert "db.internal" not in answer.content.decode()


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError, DatabaseError])
def test_each_way_in_which_a_connection_ends_is_an_outage(kind: type[Exception]) -> None:
    assert problems.problem_of(kind("server closed the connection unexpectedly")) == problems.OUTAGE
    assert problems.problem_of(DataError("value out of range")) is None
