"""Bodies that are refused unread, over a real socket: the sender gets to see the answer."""

import http.client
import json
from typing import Any

import pytest

from accounts import tokens
from accounts.models import User
from solving.models import Solve
from solving.tests.conftest import charges

TWENTY_MEGABYTES = 20_000_000


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data; boundary=x", "application/json", "text/plain"]
)
@pytest.mark.parametrize("path", ["/upload_captcha", "/api/v1/solves"])
@pytest.mark.parametrize("signed_in", [True, False])
def test_the_answer_arrives(
    live_server: Any, user: User, path: str, content_type: str, signed_in: bool
) -> None:
    headers = {"Content-Type": content_type}
    if signed_in:
        headers["Authorization"] = f"Bearer {tokens.access_token(user=user)}"
    connection = http.client.HTTPConnection(live_server.thread.host, live_server.thread.port, timeout=20)
    connection.request("POST", path, b"x" * TWENTY_MEGABYTES, headers)
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()

    expected = 401 if not signed_in else 415 if content_type == "text/plain" else 413
    assert response.status == expected
    assert "No credits were taken." in body["detail"] or "Nothing was charged." in body["detail"]
    assert charges(user) == 0
    assert not Solve.objects.exists()
