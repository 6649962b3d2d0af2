"""callbackUrl and pingback: sent after the commit, signed, tried again, and never to an address inside."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts import api_keys, credits
from accounts.models import User
from jobs import addresses
from solving import callbacks
from solving.models import Callback, Solve
from solving.tests.pictures import TYPE_A, TYPE_B, picture
from solving.tests.test_concurrency import at_once

IMAGE = base64.b64encode(picture(TYPE_A, "JPEG")).decode()
SUM = base64.b64encode(picture(TYPE_B, "JPEG")).decode()


class Receiver:
    """A server of the caller's, which keeps what it gets and answers with `status`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.status = 200
        self.got: list[tuple[str, Any, bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, self.headers, body))
                self.send_response(receiver.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    receiver = Receiver()
    settings.CALLBACK_ALLOWED_HOSTS = [receiver.host]
    yield receiver
    receiver.stop()


@pytest.fixture
def key(user: User) -> str:
    return api_keys.create(user=user, name="test")[1]


def create(key: str, url: Any, **task: Any) -> dict[str, Any]:
    body = {"clientKey": key, "callbackUrl": url, "task": {"type": "ImageToTextTask", "body": IMAGE, **task}}
    answer: dict[str, Any] = Client().post("/createTask", body, content_type="application/json").json()
    return answer


def test_an_answer_is_sent_as_get_task_result_gives_it(key: str, receiver: Receiver) -> None:
    created = create(key, f"http://{receiver.host}/hook?a=1")
    assert receiver.got == []
    assert callbacks.deliver_due() == {"delivered": 1}
    assert callbacks.deliver_due() == {}
    ((path, headers, body),) = receiver.got
    assert (path, headers["Host"]) == ("/hook?a=1", receiver.host)
    asked = {"clientKey": key, "taskId": created["taskId"]}
    result = Client().post("/getTaskResult", asked, content_type="application/json").json()
    assert json.loads(body) == result | {"taskId": created["taskId"]}
    timestamp = int(headers[callbacks.SIGNATURE].partition(",")[0].removeprefix("t="))
    digest = api_keys.digest_of(key)
    assert headers[callbacks.SIGNATURE] == callbacks.signature(digest, timestamp, body)
    assert headers[callbacks.SIGNATURE] != callbacks.signature(digest, timestamp, body + b" ")


def test_several_images_and_refusals_are_told_too(key: str, receiver: Receiver) -> None:
    url = f"http://{receiver.host}/"
    create(key, url, images=[IMAGE, SUM])
    refused = create(key, url, maxLength=2)
    callbacks.deliver_due()
    several, unsolved = (json.loads(body) for _, _, body in receiver.got)
    assert several["solution"]["answers"] == ["2KXQE", "35"]
    assert (unsolved["errorId"], refused["errorId"]) == (12, 12)
    assert Solve.objects.filter(pk=unsolved["taskId"]).exists()


def test_a_pingback_is_a_form(key: str, receiver: Receiver) -> None:
    asked = {"key": key, "body": IMAGE, "pingback": f"http://{receiver.host}/ping"}
    number = Client().post("/in.php", asked).content.decode().removeprefix("OK|")
    Client().post("/in.php", asked | {"max_len": 2})
    callbacks.deliver_due()
    assert {headers["Content-Type"] for _, headers, _ in receiver.got} == {
        "application/x-www-form-urlencoded"
    }
    told = [parse_qs(body.decode()) for _, _, body in receiver.got]  # in whichever order they arrived
    assert len(told) == 2
    assert {"id": [number], "code": ["2KXQE"]} in told
    assert ["ERROR_CAPTCHA_UNSOLVABLE"] in [one["code"] for one in told]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/", "file:///etc/passwd", "http://", "//example.org", "javascript:alert(1)",
        "no url", "http://user:password@example.org/", "http://example.org:99999/", "http://[::1/",
        "http://ex ample.org/", "http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:10.0.0.1]/", "http://10.0.0.1:8080/", "http://example.org/\r\nHost: inside",
        "http://exämple.org/", "http://e.org/" + "a" * 2000,
    ],
)  # fmt: skip
def test_urls_that_cannot_be_called_are_refused_before_anything_is_charged(
    key: str, user: User, url: str
) -> None:
    answer = create(key, url)
    assert (answer["errorId"], answer["errorCode"]) == (110, "ERROR_BAD_PARAMETERS")
    assert not Solve.objects.exists()
    assert not Callback.objects.exists()


@pytest.mark.parametrize("url", [None, "", False, 0])
def test_no_url_is_none(key: str, url: Any) -> None:
    assert create(key, url)["errorId"] == 0
    assert not Callback.objects.exists()


def test_a_name_of_something_inside_is_never_connected_to(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver()
    port = receiver.host.partition(":")[2]
    for host in ("localhost", "2130706433", "127.1", "0x7f000001"):
        create(key, f"http://{host}:{port}/")
    assert callbacks.deliver_due() == {"waiting": 4}
    receiver.stop()
    assert receiver.got == []
    assert "not public" in Callback.objects.first().error  # type: ignore[union-attr]


def test_it_goes_to_the_address_that_was_looked_at(
    key: str, receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that has another address a moment later: nobody asks for it again."""
    settings.CALLBACK_ALLOWED_HOSTS = []
    looked_up: list[str] = []

    def resolve(host: str) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(callbacks, "resolve_public", resolve)
    create(key, f"http://rebinding.example:{receiver.host.partition(':')[2]}/")
    assert callbacks.deliver_due() == {"delivered": 1}
    assert looked_up == ["rebinding.example"]
    assert addresses.resolve_public("127.0.0.1") == []


def test_failures_are_tried_again_with_growing_pauses_and_then_given_up(key: str, receiver: Receiver) -> None:
    receiver.status = 500
    create(key, f"http://{receiver.host}/")
    pauses = []
    for _ in callbacks.PAUSES:
        before = timezone.now()
        assert callbacks.deliver_due() == {"waiting": 1}
        assert callbacks.deliver_due() == {}
        pauses.append(round((Callback.objects.get().due - before).total_seconds(), -1))
        Callback.objects.update(due=timezone.now())
    assert pauses == list(callbacks.PAUSES)
    assert callbacks.deliver_due() == {"given_up": 1}
    assert "500" in Callback.objects.get().error
    assert len(receiver.got) == len(callbacks.PAUSES) + 1


def test_a_redirect_is_not_followed_and_a_receiver_may_say_never_again(key: str, receiver: Receiver) -> None:
    for status, state in ((302, "waiting"), (410, "given_up")):
        receiver.status = status
        create(key, f"http://{receiver.host}/")
        assert callbacks.deliver_due() == {state: 1}
    assert len(receiver.got) == 2


def test_nobody_there(key: str, receiver: Receiver) -> None:
    create(key, f"http://{receiver.host}/")
    host = receiver.host
    receiver.server.server_close()
    assert callbacks.deliver_due() == {"waiting": 1}
    assert host not in Callback.objects.get().error


def test_https_wants_a_certificate_for_the_name(
    key: str, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    for name, state in (("elsewhere.example", "waiting"), ("127.0.0.1", "delivered")):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(tls)
        receiver = Receiver(tls)
        settings.CALLBACK_ALLOWED_HOSTS = [receiver.host]
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        callbacks._tls.cache_clear()
        create(key, f"https://{receiver.host}/")
        assert callbacks.deliver_due() == {state: 1}
        receiver.stop()
    callbacks._tls.cache_clear()


def test_the_callback_is_of_the_transaction_that_charges(
    key: str, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**kwargs: Any) -> None:
        assert transaction.get_connection().in_atomic_block
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(callbacks, "enqueue", fail)
    assert create(key, "https://example.org/")["errorId"] == 2
    assert (credits.balance(user), Solve.objects.count()) == (10, 0)


def test_old_ones_are_deleted_and_the_command_counts(key: str, receiver: Receiver) -> None:
    create(key, f"http://{receiver.host}/")
    out = StringIO()
    call_command("deliver_callbacks", stdout=out)
    assert out.getvalue() == "1 delivered\n"
    Callback.objects.update(due=timezone.now() - callbacks.KEPT - timedelta(hours=1))
    out = StringIO()
    call_command("deliver_callbacks", stdout=out)
    assert out.getvalue() == "nothing is due\n"
    assert not Callback.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_deliverers_at_once_send_each_once(key: str, receiver: Receiver) -> None:
    for _ in range(5):
        create(key, f"http://{receiver.host}/")
    at_once(4, lambda n: callbacks.deliver_due())
    assert len(receiver.got) == 5
    assert Callback.objects.filter(state="delivered").count() == 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_web_process_sends_it_once_it_is_committed(
    key: str, receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = threading.Event()
    deliver = callbacks.deliver_due

    def deliver_and_tell() -> Any:
        deliver()
        sent.set()
        raise SystemExit  # ends the thread, which would meet the next test's database

    settings.CALLBACKS_AT_ONCE = True
    monkeypatch.setattr(callbacks, "_nudge", callbacks._Nudge())
    monkeypatch.setattr(callbacks, "deliver_due", deliver_and_tell)
    create(key, f"http://{receiver.host}/")
    assert sent.wait(30)
    assert Callback.objects.get().state == "delivered"
