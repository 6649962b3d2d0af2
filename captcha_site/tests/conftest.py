"""The people and readers of the solving tests, for tests that cross the apps; and a real browser."""

from captcha_site.tests.browsing import ada, visit
from solving.tests.conftest import artifacts, caller, make_user, outsider, readers, user

__all__ = ["ada", "artifacts", "caller", "make_user", "outsider", "readers", "user", "visit"]
