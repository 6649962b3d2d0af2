"""The JSON dialect: shapes of requests as clients were recorded to send them, and an answer to each."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from rest_framework.settings import api_settings

from accounts import api_keys, credits
from accounts.models import User
from solving import services
from solving.models import MAX_ID, Solve, SolveReport
from solving.tests.conftest import charges
from solving.tests.pictures import TYPE_A, TYPE_B, UNKNOWN, animated, bomb, picture

IMAGE = base64.b64encode(picture(TYPE_A, "JPEG")).decode()
SUM = base64.b64encode(picture(TYPE_B, "JPEG")).decode()
OTHER = base64.b64encode(picture(UNKNOWN, "JPEG")).decode()


class JsonClient:
    """A client with a key that posts JSON, as any page's script might: CSRF would be enforced."""

    def __init__(self, key: str | None) -> None:
        self.key = key
        self.client = Client(enforce_csrf_checks=True)

    def call(self, method: str, content_type: str = "application/json", **body: Any) -> dict[str, Any]:
        if self.key is not None:
            body.setdefault("clientKey", self.key)
        return self.send(method, json.dumps(body), content_type)

    def send(self, method: str, body: str | bytes, content_type: str) -> dict[str, Any]:
        response = self.client.post(f"/{method}", body, content_type=content_type)
        assert response.status_code == 200, response.content
        assert response["Content-Type"] == "application/json"
        answer: dict[str, Any] = response.json()
        assert {"errorId", "errorCode", "errorDescription"} <= set(answer)
        assert answer["errorId"] != 11
        assert answer["errorCode"] in answer["errorDescription"]
        return answer

    def create(self, **task: Any) -> dict[str, Any]:
        return self.call("createTask", task={"type": "ImageToTextTask", **task})


@pytest.fixture
def client(user: User) -> JsonClient:
    return JsonClient(api_keys.create(user=user, name="test")[1])


def assert_refused(answer: dict[str, Any], number: int, name: str) -> None:
    assert (answer["errorId"], answer["errorCode"]) == (number, name)
    assert set(answer) == {"errorId", "errorCode", "errorDescription"}


def test_a_task_is_solved_at_once_and_found_again(client: JsonClient, user: User) -> None:
    created = client.create(body=IMAGE)
    assert set(created) == {"errorId", "errorCode", "errorDescription", "taskId", "status", "solution"}
    assert (created["errorId"], created["errorCode"], created["status"]) == (0, "", "ready")
    assert created["solution"]["text"] == "2KXQE"
    assert isinstance(created["taskId"], int)
    assert 0 < created["taskId"] <= MAX_ID
    for task_id in (created["taskId"], str(created["taskId"])):
        result = client.call("getTaskResult", taskId=task_id)
        assert result["solution"] == created["solution"]
        assert (result["status"], result["cost"], result["ip"]) == ("ready", "1", "127.0.0.1")
        assert result["endTime"] >= result["createTime"] > 0
    assert client.call("getBalance")["balance"] == 9 == credits.balance(user)
    assert charges(user) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"phrase": None, "case": None, "numeric": None, "math": None, "minLength": None, "maxLength": None},
        {"phrase": False, "Case": False, "numeric": False, "math": False, "minLength": 0, "maxLength": 0},
        {"phrase": "false", "numeric": "0", "minLength": "0", "maxLength": "5", "comment": "red letters"},
        {"websiteURL": "https://example.org", "websiteUrl": None, "unheard-of": [1, {"a": None}]},
        {"recognizingThreshold": 50, "score": "0.9", "module": "common", "CapMonsterModule": "ZennoLab.x"},
        {"numeric": {"a": 1}, "minLength": "many", "maxLength": -7, "score": 1e999, "math": []},
    ],
)
def test_options_that_say_nothing_do_no_harm(client: JsonClient, options: dict[str, Any]) -> None:
    assert client.create(body=IMAGE, **options)["solution"]["text"] == "2KXQE"


@pytest.mark.parametrize(
    ("options", "solved"),
    [
        ({"numeric": 1}, False),
        ({"numeric": 2}, False),
        ({"numeric": 3}, True),
        ({"numeric": 4}, True),
        ({"minLength": 6}, False),
        ({"maxLength": "4"}, False),
        ({"minLength": 5, "maxLength": 5}, True),
        ({"module": "number"}, False),
        ({"module": "unsure", "recognizingThreshold": 100}, False),
    ],
)
def test_options_that_say_something_are_kept(
    client: JsonClient, user: User, options: dict[str, Any], solved: bool
) -> None:
    answer = client.create(body=IMAGE, **options)
    if solved:
        assert answer["solution"]["text"] == "2KXQE"
    else:
        assert_refused(answer, 12, "ERROR_CAPTCHA_UNSOLVABLE")
    assert charges(user) == int(solved)


def test_the_type_that_is_hinted_at_reads(client: JsonClient) -> None:
    assert client.create(body=IMAGE, module="general")["solution"]["text"] == "GENERAL"


def test_a_sum_is_computed(client: JsonClient) -> None:
    assert client.create(body=SUM, math=True, numeric=1)["solution"]["text"] == "35"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "text/plain; charset=UTF-8", "", "application/x-www-form-urlencoded"]
)
def test_json_under_another_name_is_json(client: JsonClient, content_type: str) -> None:
    task = {"type": "ImageToTextTask", "body": IMAGE}
    answer = client.call("createTask", content_type=content_type, task=task, softId=847, languagePool="en")
    assert answer["solution"]["text"] == "2KXQE"


def test_the_image_may_be_a_data_url_with_line_breaks_and_without_padding(client: JsonClient) -> None:
    broken = base64.encodebytes(picture(TYPE_A, "JPEG")).decode().rstrip("=\n")
    assert client.create(body=f"data:image/svg+xml;base64,{broken}")["solution"]["text"] == "2KXQE"


def test_a_bearer_that_is_no_token_is_not_looked_at(client: JsonClient) -> None:
    client.client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {client.key}"
    assert client.create(body=IMAGE)["errorId"] == 0


def test_a_list_of_images_is_one_task(client: JsonClient, user: User) -> None:
    created = client.create(images=[IMAGE, SUM, OTHER])
    assert created["solution"]["answers"] == ["2KXQE", "35", "GENERAL"]
    result = client.call("getTaskResult", taskId=created["taskId"])
    assert (result["solution"], result["cost"]) == (created["solution"], "3")
    assert (charges(user), Solve.objects.count()) == (3, 3)
    assert client.call("reportIncorrect", taskId=created["taskId"])["status"] == "success"
    assert SolveReport.objects.count() == 3
    Solve.objects.order_by("created").first().delete()  # type: ignore[union-attr]
    gone = client.call("getTaskResult", taskId=created["taskId"])
    assert_refused(gone, 16, "ERROR_NO_SUCH_CAPCHA_ID")


def test_a_list_is_paid_whole_or_not_at_all(client: JsonClient, user: User) -> None:
    credits.grant(user=user, amount=-8, reason="spent", actor="the test")
    assert_refused(client.create(images=[IMAGE] * 3), 10, "ERROR_ZERO_BALANCE")
    no_picture = base64.b64encode(b"no picture " * 20).decode()
    assert_refused(client.create(images=[IMAGE, no_picture]), 15, "ERROR_IMAGE_TYPE_NOT_SUPPORTED")
    assert_refused(client.create(images=[IMAGE] * 10), 110, "ERROR_BAD_PARAMETERS")
    assert (charges(user), Solve.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("body", "number", "name"),
    [
        ("", 3, "ERROR_ZERO_CAPTCHA_FILESIZE"),
        (None, 3, "ERROR_ZERO_CAPTCHA_FILESIZE"),
        (base64.b64encode(b"x" * 99).decode(), 3, "ERROR_ZERO_CAPTCHA_FILESIZE"),
        ("!" * 400, 15, "ERROR_IMAGE_TYPE_NOT_SUPPORTED"),
        (base64.b64encode(b"x" * 200).decode(), 15, "ERROR_IMAGE_TYPE_NOT_SUPPORTED"),
        (base64.b64encode(picture()[:-20] + b"x" * 50).decode(), 15, "ERROR_IMAGE_TYPE_NOT_SUPPORTED"),
        (base64.b64encode(animated()).decode(), 15, "ERROR_IMAGE_TYPE_NOT_SUPPORTED"),
        (base64.b64encode(b"%PDF-1.7" + b"x" * 200).decode(), 15, "ERROR_IMAGE_TYPE_NOT_SUPPORTED"),
        (base64.b64encode(bomb()).decode(), 4, "ERROR_TOO_BIG_CAPTCHA_FILESIZE"),
        (base64.b64encode(b"x" * (2 * 1024 * 1024 + 1)).decode(), 4, "ERROR_TOO_BIG_CAPTCHA_FILESIZE"),
        (17, 3, "ERROR_ZERO_CAPTCHA_FILESIZE"),
        (["a"], 3, "ERROR_ZERO_CAPTCHA_FILESIZE"),
    ],
)
def test_images_that_are_none(client: JsonClient, user: User, body: Any, number: int, name: str) -> None:
    assert_refused(client.create(body=body), number, name)
    assert (charges(user), Solve.objects.count()) == (0, 0)


def test_a_key_that_is_none(user: User) -> None:
    client = JsonClient(None)
    for key in (None, "", "x", "0" * 32, 12345, True, ["a"], {"a": 1}, "0" * 10_000):
        for method in ("createTask", "getTaskResult", "getBalance", "reportIncorrect"):
            assert_refused(client.call(method, clientKey=key), 1, "ERROR_KEY_DOES_NOT_EXIST")


def test_what_else_a_key_may_not(user: User) -> None:
    reader = JsonClient(api_keys.create(user=user, name="reader", scopes=["read"])[1])
    assert_refused(reader.create(body=IMAGE), 1, "ERROR_KEY_DOES_NOT_EXIST")
    elsewhere = JsonClient(api_keys.create(user=user, name="there", allowed_networks=["192.0.2.1"])[1])
    assert_refused(elsewhere.create(body=IMAGE), 21, "ERROR_IP_BLOCKED")
    thrifty = JsonClient(api_keys.create(user=user, name="thrifty", daily_limit=1)[1])
    assert thrifty.create(body=IMAGE)["errorId"] == 0
    assert_refused(thrifty.create(body=IMAGE), 10, "ERROR_ZERO_BALANCE")
    User.objects.update(is_active=False)
    assert_refused(thrifty.call("getBalance"), 1, "ERROR_KEY_DOES_NOT_EXIST")


def test_tasks_that_are_none(client: JsonClient) -> None:
    nothing: tuple[Any, ...] = (None, "a", [], {})
    for task in nothing:
        assert_refused(client.call("createTask", task=task), 22, "ERROR_TASK_ABSENT")
    for kind in ("NoCaptchaTaskProxyless", None, 7, ""):
        assert_refused(client.call("createTask", task={"type": kind}), 23, "ERROR_TASK_NOT_SUPPORTED")
    assert_refused(client.create(body=IMAGE, minLength=6, maxLength=5), 110, "ERROR_BAD_PARAMETERS")
    assert_refused(client.call("getAppStats", softId=1), 14, "ERROR_NO_SUCH_METHOD")


def test_ids_of_nothing(client: JsonClient) -> None:
    for task_id in (None, "", "a", 0, -1, 1.5, 2**53, 2**70, True, [1], "1 2", 4711):
        for method in ("getTaskResult", "reportCorrect", "reportIncorrect"):
            assert_refused(client.call(method, taskId=task_id), 16, "ERROR_NO_SUCH_CAPCHA_ID")


def test_bodies_that_are_none(client: JsonClient) -> None:
    for body in (b"", b"\xff\xfe", b"{", b"[1]", b'"a"', b"a=b", b"{" * 100_000, b"\x00" * 50):
        for content_type in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
            assert client.send("createTask", body, content_type)["errorId"] in (1, 3, 110)


def test_other_peoples_tasks_are_not_there(client: JsonClient, outsider: User) -> None:
    task_id = client.create(body=IMAGE)["taskId"]
    other = JsonClient(api_keys.create(user=outsider, name="other")[1])
    assert_refused(other.call("getTaskResult", taskId=task_id), 16, "ERROR_NO_SUCH_CAPCHA_ID")
    assert_refused(other.call("reportIncorrect", taskId=task_id), 16, "ERROR_NO_SUCH_CAPCHA_ID")
    assert not SolveReport.objects.exists()


@pytest.mark.parametrize(
    ("method", "verdict"),
    [
        ("reportCorrect", "correct"),
        ("reportCorrectRecaptcha", "correct"),
        ("reportIncorrect", "incorrect"),
        ("reportIncorrectRecaptcha", "incorrect"),
        ("reportIncorrectImageCaptcha", "incorrect"),
    ],
)
def test_reports(client: JsonClient, method: str, verdict: str) -> None:
    task_id = client.create(body=IMAGE)["taskId"]
    answer = client.call(method, taskId=task_id)
    assert (answer["errorId"], answer["status"]) == (0, "success")
    assert SolveReport.objects.get().verdict == verdict
    assert_refused(client.call(method, taskId=task_id), 17, "ERROR_DUPLICATE_REPORT")


def test_a_report_that_comes_too_late(client: JsonClient) -> None:
    task_id = client.create(body=IMAGE)["taskId"]
    Solve.objects.update(created=timezone.now() - timedelta(hours=2))
    assert_refused(client.call("reportIncorrect", taskId=task_id), 18, "ERROR_REPORT_NOT_RECORDED")


def test_an_unsolved_task_stays_unsolved(client: JsonClient) -> None:
    client.create(body=IMAGE, maxLength=2)
    solve = Solve.objects.get()
    answer = client.call("getTaskResult", taskId=solve.pk)
    assert_refused(answer, 12, "ERROR_CAPTCHA_UNSOLVABLE")
    assert solve.reason in answer["errorDescription"]
    assert_refused(client.call("reportIncorrect", taskId=solve.pk), 18, "ERROR_REPORT_NOT_RECORDED")


def test_statistics(client: JsonClient) -> None:
    client.create(body=IMAGE)
    client.create(body=IMAGE)
    assert client.call("getQueueStats", queueId=1)["waiting"] > 0
    (hour,) = client.call("getSpendingStats")["data"]
    assert (hour["volume"], hour["money"]) == (2, 2)
    for date in (1, "a", None, 2**60, -5):
        assert client.call("getSpendingStats", date=date)["errorId"] == 0
    assert client.call("getSpendingStats", date=1)["data"] == []


def test_the_test_method_says_what_was_understood(client: JsonClient) -> None:
    assert client.call("test", task={"a": [1]})["received"]["task"] == {"a": [1]}


def test_five_polls_a_second_are_not_too_many(
    client: JsonClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five a second over two minutes, against rates of one request a minute."""
    task_id = client.create(body=IMAGE)["taskId"]
    for scope in ("user", "anon", "solve"):
        monkeypatch.setitem(_rates(), scope, "1/min")
    polls = [client.call("getTaskResult", taskId=task_id)["status"] for _ in range(600)]
    assert polls == ["ready"] * 600
    client.call("getBalance")
    assert_refused(client.call("getBalance"), 2, "ERROR_NO_SLOT_AVAILABLE")


def test_too_many_tasks_are_told_to_wait(client: JsonClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_rates(), "solve", "2/hour")
    assert [client.create(body=IMAGE)["errorId"] for _ in range(3)] == [0, 0, 2]


def test_what_is_not_the_clients_fault_asks_it_to_try_again(
    client: JsonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: Exception) -> Callable[..., Any]:
        def solve(**kwargs: Any) -> Any:
            raise error

        return solve

    for error in (OperationalError("gone"), RuntimeError("a defect")):
        monkeypatch.setattr(services, "solve", fail(error))
        answer = client.create(body=IMAGE)
        assert_refused(answer, 2, "ERROR_NO_SLOT_AVAILABLE")
        assert str(error) not in answer["errorDescription"]


def test_plain_http_is_refused_in_words_where_https_is_asked_for(client: JsonClient, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    secured = JsonClient(client.key)
    assert_refused(secured.create(body=IMAGE), 24, "ERROR_HTTPS_REQUIRED")
    assert secured.client.post("/get_token").status_code == 301
    assert secured.client.post("/get_account_info").status_code == 301


def test_an_empty_account(client: JsonClient, user: User) -> None:
    credits.grant(user=user, amount=-10, reason="spent", actor="the test")
    assert_refused(client.create(body=IMAGE), 10, "ERROR_ZERO_BALANCE")
    assert client.call("getBalance")["balance"] == 0


def _rates() -> Any:
    cache.clear()
    return api_settings.DEFAULT_THROTTLE_RATES
