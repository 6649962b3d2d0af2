"""People of the account tests."""

from collections.abc import Callable

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from accounts import credits, tokens
from accounts.models import User

PASSWORD = "correct horse battery"

MakeUser = Callable[..., User]
SignedIn = Callable[[User], APIClient]


@pytest.fixture(autouse=True)
def _no_throttle_remembers() -> None:
    cache.clear()


@pytest.fixture
def make_user(db: None) -> MakeUser:
    def make(username: str, *, balance: int = 0, admin: bool = False) -> User:
        user = User(username=username, email=f"{username}@example.org", is_staff=admin, is_superuser=admin)
        user.set_password(PASSWORD)
        user.save()
        if balance:
            credits.grant(user=user, amount=balance, reason="for a test", actor="tests")
        user.refresh_from_db()
        return user

    return make


@pytest.fixture
def alice(make_user: MakeUser) -> User:
    return make_user("alice", balance=10)


@pytest.fixture
def outsider(make_user: MakeUser) -> User:
    """Signed in, with credits, and with no right over anybody."""
    return make_user("outsider", balance=10)


@pytest.fixture
def root(make_user: MakeUser) -> User:
    return make_user("root", admin=True)


@pytest.fixture
def signed_in() -> SignedIn:
    def client_of(user: User) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.access_token(user=user)}")
        return client

    return client_of
