"""The people and readers of the solving tests, for tests that cross the apps."""

from solving.tests.conftest import artifacts, caller, make_user, outsider, readers, user

__all__ = ["artifacts", "caller", "make_user", "outsider", "readers", "user"]
