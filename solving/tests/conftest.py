"""A service with tiny readers on the real registry, ONNX Runtime and database, and people who call it."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts import credits, tokens
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
    """Type A reads "2KXQE", type B the sum "33+2=?", the general reader "GENERAL".

    Two more are there for those who name them: `unsure` believes little of it, `blind` sees no text.
    """
    root = tmp_path_factory.mktemp("artifacts")
    write_types(root, labels=("captcha_type_a", "captcha_type_b", "other"))
    write_reader(root, "captcha_type_a", text="2KXQE", case_sensitive=False, min_length=5, max_length=5)
    write_reader(root, "captcha_type_b", text="33+2=?", arithmetic=True)
    write_reader(root, "general", text="GENERAL")
    write_reader(root, "unsure", text="2KXQE", temperature=10)
    write_reader(root, "blind", text="")
    return root


@pytest.fixture(autouse=True)
def _counters_at_zero() -> None:
    cache.clear()


@pytest.fixture
def readers(db: None, artifacts: Path, settings: Any) -> Iterator[None]:
    """Readers that serve; whoever has an account finds them there."""
    serve(artifacts, settings)
    yield
    registry.reset()


def serve(artifacts: Path, settings: Any) -> None:
    """Let this process read with the models of that folder."""
    settings.SHIPPED_ARTIFACTS = artifacts
    registry.reset()
    install_shipped_models()


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a file left behind would lie."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def make_user(readers: None) -> Callable[..., User]:
    def make(name: str, balance: int = 10) -> User:
        user = User.objects.create_user(name, f"{name}@example.org", "a password of theirs")
        if balance:
            credits.grant(user=user, amount=balance, reason="for the test", actor="the test")
        return user

    return make


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    """Someone with 10 credits."""
    return make_user("ada")


@pytest.fixture
def outsider(make_user: Callable[..., User]) -> User:
    """Someone else, who must see nothing of the first one's."""
    return make_user("eve")


@pytest.fixture
def caller(user: User) -> Caller:
    return Caller(user)


def charges(user: User) -> int:
    """How many charges the ledger holds for the user."""
    return LedgerEntry.objects.filter(account=user.credit_account, kind="charge").count()


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The body of an RFC 9457 problem with this status and code."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"].endswith(code)
    assert body["title"]
    assert body["detail"].endswith((".", "?", "!"))
    return body
