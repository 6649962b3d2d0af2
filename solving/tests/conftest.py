"""A service with tiny readers: the real registry, files, ONNX Runtime and database, and people who call it."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from accounts import credits, services, tokens
from accounts.models import LedgerEntry, User
from ml import registry
from ml.services import install_shipped_models
from ml.tests.artifacts import write_reader, write_types


class Caller:
    """Someone who calls the service, with a token of theirs or without one."""

    def __init__(self, user: User | None = None, *, token: str | None = None) -> None:
        if user is not None:
            token = tokens.access_token(user=user)
        self.user = user
        self.client = Client(headers={"authorization": f"Bearer {token}"} if token else {})

    def upload(self, image: bytes, **headers: str) -> Any:
        """The original service's way."""
        return self.post("/upload_captcha", {"captcha_image": part(image)}, **headers)

    def solve(self, image: bytes, key: str | None = None, **hints: Any) -> Any:
        """The modern way."""
        headers = {} if key is None else {"idempotency-key": key}
        return self.post("/api/v1/solves", {"image": part(image), **hints}, **headers)

    def post(self, path: str, data: Any, **headers: str) -> Any:
        return self.client.post(path, data, headers=headers)

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(path, query)


def part(image: bytes, name: str = "captcha.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, image, content_type="image/png")


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Type A reads "2KXQE", type B the sum "33+2=?", the general reader "GENERAL"."""
    root = tmp_path_factory.mktemp("artifacts")
    write_types(root, labels=("captcha_type_a", "captcha_type_b", "other"))
    write_reader(root, "captcha_type_a", text="2KXQE", case_sensitive=False, min_length=5, max_length=5)
    write_reader(root, "captcha_type_b", text="33+2=?", arithmetic=True)
    write_reader(root, "general", text="GENERAL")
    return root


@pytest.fixture(autouse=True)
def _readers(request: pytest.FixtureRequest, settings: Any) -> Iterator[None]:
    """Serving readers wherever a test uses the database, and counters that begin at zero."""
    cache.clear()
    if not {"db", "transactional_db"} & set(request.fixturenames):
        yield
        return
    request.getfixturevalue("transactional_db" if "transactional_db" in request.fixturenames else "db")
    settings.SHIPPED_ARTIFACTS = request.getfixturevalue("artifacts")
    registry.reset()
    install_shipped_models()
    yield
    registry.reset()


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a file left behind would lie."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def make_user() -> Callable[..., User]:
    def make(name: str, balance: int = 10) -> User:
        user = User.objects.create_user(name, f"{name}@example.org", "a password of theirs")
        if balance:
            credits.grant(user=user, amount=balance, reason="for the test", actor="the test")
        return user

    return make


@pytest.fixture
def user(db: None, make_user: Callable[..., User]) -> User:
    """Someone with 10 credits."""
    return make_user("ada")


@pytest.fixture
def outsider(db: None, make_user: Callable[..., User]) -> User:
    """Someone else, who must see nothing of the first one's."""
    return make_user("eve")


@pytest.fixture
def caller(user: User) -> Caller:
    return Caller(user)


def charges(user: User) -> int:
    """How many charges the ledger holds for the user."""
    return LedgerEntry.objects.filter(account=user.credit_account, kind="charge").count()


def assert_problem(response: HttpResponse, status: int, code: str) -> dict[str, Any]:
    """The body of an RFC 9457 problem with this status and code."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()  # type: ignore[attr-defined]
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"].endswith(code)
    assert body["title"]
    assert body["detail"].endswith((".", "?", "!"))
    return body
