"""The form dialect and DeathByCaptcha's: recorded shapes of requests, and an answer to each."""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from accounts import api_keys, credits
from accounts.models import User
from solving import services
from solving.models import Solve, SolveReport
from solving.tests.conftest import charges, part
from solving.tests.pictures import TYPE_A, TYPE_B, picture

JPEG = picture(TYPE_A, "JPEG")
BODY = base64.b64encode(JPEG).decode()


@pytest.fixture
def key(user: User) -> str:
    return api_keys.create(user=user, name="test")[1]


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=True)


def text_of(response: Any) -> str:
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    return str(response.content.decode())


def json_of(response: Any) -> Any:
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    return response.json()


def submitted(client: Client, key: str, **parameters: Any) -> str:
    word, _, number = text_of(client.post("/in.php", {"key": key, "body": BODY, **parameters})).partition("|")
    assert word == "OK", word
    return number


def res(client: Client, key: str, **parameters: Any) -> Any:
    return client.get("/res.php", {"key": key, **parameters})


SHAPES: dict[str, Callable[[str], dict[str, Any]]] = {
    "multipart file": lambda key: {"data": {"key": key, "method": "post", "file": part(JPEG)}},
    "multipart file named as text": lambda key: {"data": {"key": key, "file": part(JPEG, "captcha.txt")}},
    "multipart base64": lambda key: {"data": {"key": key, "method": "base64", "body": BODY}},
    "urlencoded": lambda key: {
        "data": urlencode({"key": key, "method": "base64", "body": BODY}),
        "content_type": "application/x-www-form-urlencoded",
    },
    "json": lambda key: {
        "data": json.dumps({"key": key, "method": "base64", "body": BODY, "phrase": None, "calc": False}),
        "content_type": "application/json",
    },
    "json as text, the rest in the query": lambda key: {
        "data": json.dumps({"body": f"data:image/png;base64,{BODY}"}),
        "content_type": "text/plain;charset=UTF-8",
        "QUERY_STRING": urlencode({"key": key, "method": "base64", "soft_id": 4580}),
    },
    "json without a content type": lambda key: {
        "data": json.dumps({"key": key, "body": BODY}),
        "content_type": "",
    },
    "everything in the query": lambda key: {"QUERY_STRING": urlencode({"key": key, "body": BODY})},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_request_is_understood(client: Client, key: str, user: User, shape: str) -> None:
    word, _, number = text_of(client.post("/in.php", **SHAPES[shape](key))).partition("|")
    assert word == "OK"
    assert text_of(res(client, key, action="get", id=number)) == "OK|2KXQE"
    assert charges(user) == 1


def test_answers_as_text_and_as_json(client: Client, key: str) -> None:
    created = json_of(client.post("/in.php", {"key": key, "body": BODY, "json": 1}))
    assert created["status"] == 1
    number = created["request"]
    assert number.isdigit()
    assert text_of(res(client, key, action="get2", id=number)) == "OK|2KXQE|1"
    assert json_of(res(client, key, action="get", id=number, json=1)) == {"status": 1, "request": "2KXQE"}
    assert json_of(res(client, key, action="get2", id=number, json=1)) == {
        "status": 1,
        "request": "2KXQE",
        "price": "1",
    }
    assert text_of(res(client, key, action="getbalance")) == "9"
    assert json_of(res(client, key, action="getbalance", json=1)) == {"status": 1, "request": "9"}


def test_several_at_once(client: Client, key: str) -> None:
    first, second = submitted(client, key), submitted(client, key, file=part(picture(TYPE_B, "JPEG")))
    unsolved = submitted(client, key, max_len=3)
    answer = text_of(res(client, key, action="get", ids=f"{first},{second},{unsolved},17,x"))
    assert answer == "2KXQE|35|ERROR_CAPTCHA_UNSOLVABLE|ERROR_WRONG_CAPTCHA_ID|ERROR_WRONG_ID_FORMAT"


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"numeric": 1}, "ERROR_CAPTCHA_UNSOLVABLE"),
        ({"numeric": 4, "min_len": 5, "max_len": 5, "regsense": 1, "phrase": 1, "language": 2}, "OK|2KXQE"),
        ({"min_len": 6}, "ERROR_CAPTCHA_UNSOLVABLE"),
        ({"calc": 1}, "ERROR_CAPTCHA_UNSOLVABLE"),
        ({"lang": "en", "textinstructions": "red ones", "numeric": "", "min_len": "x"}, "OK|2KXQE"),
    ],
)
def test_options(client: Client, key: str, user: User, options: dict[str, Any], answer: str) -> None:
    number = submitted(client, key, **options)
    assert text_of(res(client, key, action="get", id=number)) == answer
    assert charges(user) == int(answer.startswith("OK"))


@pytest.mark.parametrize(
    ("parameters", "answer"),
    [
        ({"key": ""}, "ERROR_WRONG_USER_KEY"),
        ({"key": "abc"}, "ERROR_WRONG_USER_KEY"),
        ({"key": "0" * 32}, "ERROR_KEY_DOES_NOT_EXIST"),
        ({"body": ""}, "ERROR_ZERO_CAPTCHA_FILESIZE"),
        ({"body": "YQ=="}, "ERROR_ZERO_CAPTCHA_FILESIZE"),
        ({"body": "?" * 300}, "ERROR_IMAGE_TYPE_NOT_SUPPORTED"),
        ({"body": base64.b64encode(b"%PDF-1.7" + b"x" * 200).decode()}, "ERROR_WRONG_FILE_EXTENSION"),
        ({"body": base64.b64encode(b"x" * 2_100_000).decode()}, "ERROR_TOO_BIG_CAPTCHA_FILESIZE"),
        ({"body": base64.b64encode(b"x" * 9_000_000).decode()}, "ERROR_TOO_BIG_CAPTCHA_FILESIZE"),
        ({"method": "userrecaptcha"}, "ERROR_BAD_PARAMETERS"),
        ({"min_len": 6, "max_len": 5}, "ERROR_BAD_PARAMETERS"),
    ],
)
def test_refusals(client: Client, key: str, user: User, parameters: dict[str, Any], answer: str) -> None:
    asked = {"key": key, "body": BODY, **parameters}
    assert text_of(client.post("/in.php", asked)) == answer
    refused = json_of(client.post("/in.php?json=1", asked))
    assert (refused["status"], refused["request"]) == (0, answer)
    assert (charges(user), Solve.objects.count()) == (0, 0)


def test_no_file_at_all(client: Client, key: str) -> None:
    assert text_of(client.post("/in.php", {"key": key})) == "ERROR_UPLOAD"
    assert text_of(client.get("/in.php", {"key": key})) == "ERROR_UPLOAD"


def test_no_credits(client: Client, key: str, user: User) -> None:
    credits.grant(user=user, amount=-10, reason="spent", actor="the test")
    assert text_of(client.post("/in.php", {"key": key, "body": BODY})) == "ERROR_ZERO_BALANCE"


@pytest.mark.parametrize(
    ("parameters", "answer"),
    [
        ({}, "ERROR_EMPTY_ACTION"),
        ({"action": "dance"}, "ERROR_EMPTY_ACTION"),
        ({"action": "get"}, "ERROR_WRONG_ID_FORMAT"),
        ({"action": "get", "id": "x"}, "ERROR_WRONG_ID_FORMAT"),
        ({"action": "get", "id": "4711"}, "ERROR_WRONG_CAPTCHA_ID"),
        ({"action": "reportbad", "id": "4711"}, "ERROR_WRONG_CAPTCHA_ID"),
    ],
)
def test_results_of_nothing(client: Client, key: str, parameters: dict[str, Any], answer: str) -> None:
    assert text_of(res(client, key, **parameters)) == answer


def test_reports(client: Client, key: str) -> None:
    number, unsolved = submitted(client, key), submitted(client, key, max_len=3)
    assert text_of(res(client, key, action="reportbad", id=number)) == "OK_REPORT_RECORDED"
    assert text_of(res(client, key, action="reportgood", id=number)) == "ERROR_DUPLICATE_REPORT"
    assert text_of(res(client, key, action="reportbad", id=unsolved)) == "REPORT_NOT_RECORDED"
    assert SolveReport.objects.get().verdict == "incorrect"


def test_other_peoples_captchas_are_not_there(client: Client, key: str, outsider: User) -> None:
    number = submitted(client, key)
    other = api_keys.create(user=outsider, name="other")[1]
    assert text_of(res(client, other, action="get", id=number)) == "ERROR_WRONG_CAPTCHA_ID"


def test_a_page_may_read_the_answer_only_when_it_was_asked_for(client: Client, key: str) -> None:
    header = "Access-Control-Allow-Origin"
    assert client.post("/in.php", {"key": key, "body": BODY, "header_acao": 1})[header] == "*"
    assert header not in client.post("/in.php", {"key": key, "body": BODY})


# DeathByCaptcha


def test_upload_look_and_report(client: Client, key: str, user: User) -> None:
    encoded = f"base64:{BODY}"
    for file in (part(JPEG), part(encoded.encode()), encoded):
        solved = json_of(
            client.post("/api/captcha", {"username": "any", "password": key, "captchafile": file})
        )
        assert solved == {"status": 0, "captcha": solved["captcha"], "text": "2KXQE", "is_correct": True}
        assert json_of(client.get(f"/api/captcha/{solved['captcha']}")) == solved
    assert charges(user) == 3
    account = json_of(client.post("/api/user", {"authtoken": key}))
    assert account == {"user": user.pk, "rate": 1, "balance": 7, "is_banned": False, "status": 0}
    reported = json_of(client.post(f"/api/captcha/{solved['captcha']}/report", {"authtoken": key}))
    assert reported == solved | {"is_correct": False}
    assert json_of(client.get(f"/api/captcha/{solved['captcha']}")) == reported


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"password": "wrong"}, 403),
        ({"password": "0" * 32}, 403),
        ({"captchafile": ""}, 400),
        ({"captchafile": "base64:" + "?" * 200}, 400),
        ({"captchafile": base64.b64encode(b"x" * 2_100_000).decode()}, 413),
    ],
)
def test_http_codes(client: Client, key: str, user: User, parameters: dict[str, Any], status: int) -> None:
    asked = {"username": "any", "password": key, "captchafile": BODY, **parameters}
    response = client.post("/api/captcha", asked)
    assert (response.status_code, response["Content-Type"]) == (status, "application/json")
    assert charges(user) == 0


def test_further_http_codes(
    client: Client, key: str, user: User, outsider: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.post("/api/captcha", {"password": key}).status_code == 400
    assert client.get("/api/captcha/4711").status_code == 404
    solve_id = json_of(client.post("/api/captcha", {"password": key, "captchafile": BODY}))["captcha"]
    other = api_keys.create(user=outsider, name="other")[1]
    assert client.post(f"/api/captcha/{solve_id}/report", {"password": other}).status_code == 404
    assert client.post(f"/api/captcha/{solve_id}/report").status_code == 403
    credits.grant(user=user, amount=-9, reason="spent", actor="the test")
    assert client.post("/api/captcha", {"password": key, "captchafile": BODY}).status_code == 403
    assert not SolveReport.objects.exists()


def test_without_a_key_only_what_this_dialect_made_is_shown(client: Client, key: str, user: User) -> None:
    client.post("/in.php", {"key": key, "body": BODY})
    services.solve(user=User.objects.get(pk=user.pk), image=JPEG)
    assert Solve.objects.count() == 2
    for solve in Solve.objects.all():
        answer = client.get(f"/api/captcha/{solve.pk}")
        assert (answer.status_code, answer.json()["error"]) == (404, "ERROR_NO_SUCH_CAPCHA_ID")
        assert json_of(client.get(f"/api/captcha/{solve.pk}", {"authtoken": key}))["text"] == "2KXQE"


def test_a_key_that_is_sent_is_checked(client: Client, key: str, outsider: User) -> None:
    solved = json_of(client.post("/api/captcha", {"password": key, "captchafile": BODY}))
    address = f"/api/captcha/{solved['captcha']}"
    other = api_keys.create(user=outsider, name="other")[1]
    for given, status in ((key, 200), (other, 404), ("0" * 32, 403), ("wrong", 403)):
        assert client.get(address, {"authtoken": given}).status_code == status
        assert client.get(address, {"username": "any", "password": given}).status_code == status
        assert client.get(address, headers={"authorization": f"Api-Key {given}"}).status_code == status
    assert json_of(client.get(address)) == solved


def test_what_is_wrong_with_an_image_is_said_in_a_sentence(client: Client, key: str) -> None:
    tiff = base64.b64encode(b"II*\0" + bytes(200)).decode()
    answer = client.post("/api/captcha", {"password": key, "captchafile": tiff}).json()
    assert answer["message"] == "The file is a TIFF: send a JPEG, PNG, GIF, BMP or WebP."


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize(
    "path", ["/api/captcha/", "/api/captcha/0", "/api/captcha/0/report", "/api/captcha/x/y", "/api/user/"]
)
def test_an_address_that_is_none_is_refused_in_the_dialect_s_words(method: str, path: str) -> None:
    response = getattr(Client(enforce_csrf_checks=True), method)(path)
    assert (response.status_code, response["Content-Type"]) == (404, "application/json")
    answer = response.json()
    assert (answer["status"], answer["error"]) == (255, "ERROR_NO_SUCH_METHOD")
    assert ("slash" in answer["message"]) is path.endswith("/")
