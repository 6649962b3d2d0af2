"""The clients of commercial services, as they come from PyPI: they solve, ask and report here unchanged.

Over real HTTP and HTTPS, with the shipped readers and pictures that the project drew, and with a look into
the ledger after each.
"""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import capsolver
import deathbycaptcha
import pytest
from python_anticaptcha import (
    AnticaptchaClient,
    AnticaptchaException,
    AsyncAnticaptchaClient,
    ImageToTextTask,
)
from twocaptcha import AsyncTwoCaptcha, TwoCaptcha
from twocaptcha.exceptions.api import ApiException

from accounts import api_keys, credits
from accounts.models import LedgerEntry, User
from ml import registry
from ml.services import install_shipped_models
from solving.models import Solve, SolveReport
from solving.tests.pictures import picture
from solving.tests.servers import serving

pytestmark = pytest.mark.django_db(transaction=True)

SAMPLES = Path(__file__).resolve().parents[2] / "static" / "samples"
TYPE_A, TYPE_B = SAMPLES / "captcha_type_a.png", SAMPLES / "captcha_type_b.png"
ANSWERS = {TYPE_A: "K9XEF", TYPE_B: "68"}


@pytest.fixture
def shipped_readers(transactional_db: None) -> Iterator[None]:
    registry.reset()
    install_shipped_models()
    yield
    registry.reset()


@pytest.fixture
def customer(shipped_readers: None) -> User:
    user = User.objects.create_user("customer", "customer@example.org")
    credits.grant(user=user, amount=10, reason="for the test", actor="the test")
    return user


@pytest.fixture
def key(customer: User) -> str:
    return api_keys.create(user=customer, name="a client")[1]


@pytest.fixture
def http(customer: User) -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def https(customer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    with serving(tmp_path) as address:
        yield address


def assert_ledger(user: User, *amounts: int) -> None:
    """These changes, in order, and nothing else; each balance is explained by them."""
    entries = list(LedgerEntry.objects.filter(account=user.credit_account).order_by("id"))
    assert [entry.amount for entry in entries] == [10, *amounts]
    assert entries[-1].balance_after == 10 + sum(amounts) == credits.balance(user)
    charged = {entry.reference for entry in entries if entry.kind == "charge"}
    assert charged == {f"solve {solve.pk}" for solve in Solve.objects.filter(charged__gt=0)}


def reported(verdict: str) -> int:
    return SolveReport.objects.filter(verdict=verdict).count()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_python_anticaptcha(secure: bool, key: str, customer: User, request: pytest.FixtureRequest) -> None:
    host = request.getfixturevalue("https" if secure else "http")
    with AnticaptchaClient(key, host=host, use_ssl=secure) as client:
        for count, (file, answer) in enumerate(ANSWERS.items(), start=1):
            job = client.create_task(ImageToTextTask(str(file)))
            job.join()
            assert job.get_captcha_text() == answer
            assert client.get_balance() == 10 - count
            assert_ledger(customer, *[-1] * count)
        math = client.create_task(ImageToTextTask(TYPE_B.read_bytes(), math=True, numeric=1, max_length=3))
        math.join()
        assert math.get_captcha_text() == "68"
        assert math.report_incorrect_image() is True
        assert reported("incorrect") == 1
        assert job.report_incorrect_recaptcha() is True
        with pytest.raises(AnticaptchaException) as refused:
            job.report_incorrect_image()
        assert refused.value.error_code == "ERROR_DUPLICATE_REPORT"
        with pytest.raises(AnticaptchaException) as refused:
            client.create_task(ImageToTextTask(str(TYPE_A), max_length=3))
        assert refused.value.error_id == 12
        with pytest.raises(AnticaptchaException) as refused:
            client.get_app_stats(1, "errors")
        assert refused.value.error_code == "ERROR_NO_SUCH_METHOD"
    assert_ledger(customer, -1, -1, -1)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_python_anticaptcha_async(
    secure: bool, key: str, customer: User, request: pytest.FixtureRequest
) -> None:
    host = request.getfixturevalue("https" if secure else "http")

    async def use() -> None:
        async with AsyncAnticaptchaClient(key, host=host, use_ssl=secure) as client:
            jobs = [await client.create_task(ImageToTextTask(str(file))) for file in ANSWERS]
            await asyncio.gather(*(job.join() for job in jobs))
            assert [job.get_captcha_text() for job in jobs] == list(ANSWERS.values())
            assert await client.get_balance() == 8
            assert await jobs[0].report_incorrect_image()

    asyncio.run(use())
    assert_ledger(customer, -1, -1)
    assert reported("incorrect") == 1


def test_a_wrong_key_is_told_to_python_anticaptcha(http: str) -> None:
    client = AnticaptchaClient("0" * 32, host=http, use_ssl=False)
    with pytest.raises(AnticaptchaException) as refused:
        client.create_task(ImageToTextTask(str(TYPE_A)))
    assert (refused.value.error_id, refused.value.error_code) == (1, "ERROR_KEY_DOES_NOT_EXIST")


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_capsolver(
    secure: bool,
    key: str,
    customer: User,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = request.getfixturevalue("https" if secure else "http")
    monkeypatch.setattr(capsolver, "api_base", f"{'https' if secure else 'http'}://{host}")
    monkeypatch.setattr(capsolver, "api_key", key)
    for count, (file, answer) in enumerate(ANSWERS.items(), start=1):
        body = base64.b64encode(file.read_bytes()).decode()
        solution = capsolver.solve(
            {"type": "ImageToTextTask", "module": "common", "body": body, "score": 0.5}
        )
        assert solution["text"] == answer
        assert capsolver.balance()["balance"] == 10 - count
        assert_ledger(customer, *[-1] * count)
    images = [base64.b64encode(file.read_bytes()).decode() for file in ANSWERS]
    solution = capsolver.solve({"type": "ImageToTextTask", "module": "common", "images": images})
    assert solution["answers"] == list(ANSWERS.values())
    with pytest.raises(capsolver.error.UnknownError, match="ERROR_CAPTCHA_UNSOLVABLE"):
        capsolver.solve({"type": "ImageToTextTask", "body": images[0], "numeric": 1})
    assert_ledger(customer, *[-1] * 4)


def test_2captcha_python(https: str, key: str, customer: User, tmp_path: Path) -> None:
    client = TwoCaptcha(key, server=https)
    for count, (file, answer) in enumerate(ANSWERS.items(), start=1):
        solved = client.normal(str(file), minLen=2, maxLen=5, caseSensitive=1, phrase=0)
        assert solved["code"] == answer
        assert client.balance() == 10 - count
        assert client.report(solved["captchaId"], True) == "OK_REPORT_RECORDED"
        assert_ledger(customer, *[-1] * count)
    inline = client.normal(base64.b64encode(TYPE_B.read_bytes()).decode(), calc=1, numeric=1)
    assert inline["code"] == "68"
    assert client.report(inline["captchaId"], False) == "OK_REPORT_RECORDED"
    assert (reported("correct"), reported("incorrect")) == (2, 1)
    with pytest.raises(ApiException, match="ERROR_DUPLICATE_REPORT"):
        client.report(inline["captchaId"], False)
    extended = TwoCaptcha(key, server=https, extendedResponse=True)
    assert extended.normal(str(TYPE_A))["code"] == "K9XEF"
    with pytest.raises(ApiException, match="ERROR_CAPTCHA_UNSOLVABLE"):
        client.normal(str(TYPE_A), maxLen=4)
    no_picture = tmp_path / "text.png"
    no_picture.write_text("no picture at all " * 20)
    with pytest.raises(ApiException, match="ERROR_IMAGE_TYPE_NOT_SUPPORTED"):
        client.normal(str(no_picture))
    with pytest.raises(ApiException, match="ERROR_BAD_PARAMETERS"):
        client.recaptcha(sitekey="a" * 40, url="https://example.org")
    assert_ledger(customer, *[-1] * 4)


def test_2captcha_python_async(https: str, key: str, customer: User) -> None:
    async def use() -> None:
        client = AsyncTwoCaptcha(key, server=https)
        solved = await asyncio.gather(*(client.normal(str(file)) for file in ANSWERS))
        assert [one["code"] for one in solved] == list(ANSWERS.values())
        assert await client.balance() == 8
        assert await client.report(solved[0]["captchaId"], False) == "OK_REPORT_RECORDED"

    asyncio.run(use())
    assert_ledger(customer, -1, -1)
    assert reported("incorrect") == 1


@pytest.mark.parametrize("with_token", [False, True], ids=["password", "authtoken"])
def test_deathbycaptcha(
    with_token: bool, http: str, key: str, customer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deathbycaptcha, "HTTP_BASE_URL", f"http://{http}/api")
    client: Any = deathbycaptcha.HttpClient(*(("", "", key) if with_token else ("anybody", key)))
    client.is_verbose = False
    for count, (file, answer) in enumerate(ANSWERS.items(), start=1):
        solved = client.decode(str(file))
        assert (solved["text"], solved["is_correct"]) == (answer, True)
        assert client.get_text(solved["captcha"]) == answer
        assert client.get_balance() == 10 - count
        assert_ledger(customer, *[-1] * count)
    assert client.report(solved["captcha"])
    assert client.get_captcha(solved["captcha"])["is_correct"] is False
    blank = tmp_path / "blank.jpeg"
    blank.write_bytes(picture(file_format="JPEG"))
    assert client.decode(str(blank)) is None
    with pytest.raises(deathbycaptcha.AccessDeniedException):
        deathbycaptcha.HttpClient("anybody", "0" * 32).get_user()
    assert_ledger(customer, -1, -1)
