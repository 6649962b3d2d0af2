"""The project's own client, in client/: over real HTTP, and by the shapes that the OpenAPI document names."""

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client as WebClient

from accounts import api_keys, credits
from accounts.models import User
from client.captcha_solving_client import ApiError, AsyncClient, Client, Unsolvable, calls, shapes
from solving.models import SolveReport
from solving.tests.conftest import charges
from solving.tests.pictures import TYPE_A, TYPE_B, picture
from solving.tests.servers import serving

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def key(user: User) -> str:
    return api_keys.create(user=user, name="client")[1]


@pytest.fixture
def url(transactional_db: None, key: str) -> Iterator[str]:
    with serving() as address:
        yield f"http://{address}"


class LosesAnswers(httpx.HTTPTransport):
    """A network that carries each request there, and the first answers not back."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.lost = lost

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if self.lost:
            self.lost -= 1
            response.read()
            raise httpx.ReadError("the connection was lost")
        return response


def test_solve_report_and_account(url: str, key: str, user: User) -> None:
    with Client(url, api_key=key) as client:
        solution = client.solve(picture(TYPE_B), math=True, max_length=2)
        assert (solution.text, solution.answer, solution.balance) == ("33+2=?", "35", 9)
        assert [one.char for one in solution.characters] == list("33+2=?")
        assert client.report(solution.id, "incorrect", correction="33+2=").state == "waiting"
        with pytest.raises(ApiError) as refused:
            client.report(solution.id, "incorrect")
        assert (refused.value.status, refused.value.code) == (409, "already_reported")
        with pytest.raises(Unsolvable, match="length 3") as unsolvable:
            client.solve(picture(TYPE_A), max_length=3)
        assert unsolvable.value.reason_code == "constraints"
        assert client.account().balance == 9
        batch = client.solve_batch([picture(TYPE_A), b"nothing"])
        assert [item.outcome for item in batch.solves] == ["solved", "failed"]
        assert batch.solves[1].error == shapes.ItemError("image_not_an_image", batch.solves[1].error.detail)  # type: ignore[union-attr]
    assert (charges(user), SolveReport.objects.count()) == (2, 1)


def test_the_same_with_asyncio(url: str, key: str, user: User) -> None:
    async def use() -> None:
        async with AsyncClient(url, api_key=key) as client:
            solved = await asyncio.gather(*(client.solve(picture(shade)) for shade in (TYPE_A, TYPE_B)))
            assert [one.answer for one in solved] == ["2KXQE", "35"]
            assert (await client.report(solved[0].id, "correct")).state == "noted"
            batch = await client.solve_batch([picture(TYPE_A)])
            assert batch.charged == 1
            assert (await client.account()).balance == 7

    asyncio.run(use())
    assert charges(user) == 3


def test_a_lost_answer_is_asked_for_again_and_charged_once(url: str, key: str, user: User) -> None:
    with Client(url, api_key=key, transport=LosesAnswers(2)) as client:
        assert client.solve(picture()).balance == 9
    assert charges(user) == 1
    with Client(url, api_key=key, transport=LosesAnswers(1)) as client:
        assert client.solve_batch([picture()] * 3).balance == 6
    assert (charges(user), credits.balance(user)) == (4, 6)


def test_a_report_is_not_repeated_blindly_and_patience_ends(url: str, key: str) -> None:
    with Client(url, api_key=key) as client:
        solve_id = client.solve(picture()).id
    with Client(url, api_key=key, transport=LosesAnswers(1)) as client, pytest.raises(httpx.ReadError):
        client.report(solve_id, "correct")
    assert SolveReport.objects.count() == 1
    gone = Client(url, api_key=key, retries=1, transport=LosesAnswers(5))
    with gone, pytest.raises(httpx.ReadError):
        gone.account()


@pytest.mark.parametrize(
    ("status", "code", "headers", "again"),
    [
        (429, "throttled", {"Retry-After": "7"}, True),
        (503, "unavailable", {}, True),
        (502, None, {}, True),
        (409, "idempotency_key_in_use", {"Retry-After": "1"}, True),
        (409, "already_reported", {}, False),
        (402, "insufficient_credits", {}, False),
        (500, None, {}, False),
    ],
)
def test_what_is_tried_again(status: int, code: str | None, headers: dict[str, str], again: bool) -> None:
    content = b"<html>" if code is None else json.dumps({"code": code}).encode()
    pause = calls.pause_after(calls.account(), httpx.Response(status, headers=headers, content=content), 0)
    assert (pause is not None) == again
    if pause is not None:
        assert pause >= float(headers.get("Retry-After", 0))
        assert pause <= calls.LONGEST_PAUSE


def test_a_key_is_sent_where_the_caller_said_and_nothing_else_is_taken() -> None:
    for api_key, token in ((None, None), ("a", "b")):
        with pytest.raises(ValueError, match="an API key or a token"):
            Client("http://127.0.0.1", api_key=api_key, token=token)
    for images in ([], [b"x"] * 65):
        with pytest.raises(ValueError, match="1 to 64"):
            calls.solve_batch(images, {})


def test_the_shapes_are_those_of_the_openapi_document() -> None:
    schemas = WebClient().get("/api/schema/").json()["components"]["schemas"]
    for name, shape in {
        "Solved": shapes.Solution,
        "Solve": shapes.Solve,
        "Character": shapes.Character,
        "Batch": shapes.Batch,
        "BatchItem": shapes.BatchItem,
        "ItemError": shapes.ItemError,
        "Account": shapes.Account,
        "FiledReport": shapes.Report,
    }.items():
        assert {field.name for field in dataclasses.fields(shape)} == set(schemas[name]["properties"]), name
    hints = set(schemas["ImageJsonRequest"]["properties"]) - {"image"}
    assert set(calls.Hints.__annotations__) == hints
    assert schemas["BatchJsonRequest"]["properties"]["images"]["maxItems"] == calls.MAX_BATCH


def test_the_command_of_the_installed_package(url: str, key: str, tmp_path: Path) -> None:
    target, source = tmp_path / "installed", tmp_path / "client"
    subprocess.run(["cp", "-r", ROOT / "client", source], check=True)  # building leaves files behind
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    options = ["--no-build-isolation", "--root-user-action=ignore", "--target", target]
    subprocess.run([*pip, *map(str, options), str(source)], check=True)
    files = []
    for name, content in (("a.png", picture(TYPE_A)), ("b.png", picture(TYPE_B)), ("no.png", b"no picture")):
        files.append(tmp_path / name)
        files[-1].write_bytes(content)
    command = target / "bin" / "captcha-solve"
    known = {"PATH": os.environ["PATH"], "PYTHONPATH": str(target), "CAPTCHA_URL": url}

    def run(*arguments: Any, **further: str) -> subprocess.CompletedProcess[str]:
        environment = known | {"CAPTCHA_API_KEY": key} | further
        return subprocess.run(
            [sys.executable, command, *arguments], env=environment, capture_output=True, text=True
        )

    alone = run(files[0])
    assert (alone.returncode, alone.stdout) == (0, "2KXQE\n"), alone.stderr
    several = run(*files)
    assert (several.returncode, several.stdout) == (1, f"{files[0]}\t2KXQE\n{files[1]}\t35\n")
    assert str(files[2]) in several.stderr
    as_json = json.loads(run("--json", "--math", files[1]).stdout)
    assert (as_json["outcome"], as_json["solve"]["answer"]) == ("solved", "35")
    assert run("--max-length", "3", files[0]).returncode == 1
    wrong = run(files[0], CAPTCHA_API_KEY="0" * 32)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "no such API key" in wrong.stderr
    assert run(tmp_path / "absent.png").returncode == 2
    assert run(files[0], CAPTCHA_URL="").returncode == 2
    nobody = run(files[0], CAPTCHA_URL="http://127.0.0.1:1")
    assert nobody.returncode == 2
    assert nobody.stderr == "captcha-solve: http://127.0.0.1:1: Connection refused\n"
