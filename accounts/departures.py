"""What other apps do about their own when a user is deleted: they register, `accounts` knows none."""

from collections.abc import Callable

from accounts.models import User

Step = Callable[[User], None]

_steps: list[Step] = []


def register(step: Step) -> None:
    """Have `step` called in the transaction that deletes a user, before the row goes.

    What no transaction takes back, such as the deletion of a file, is for `transaction.on_commit`.
    """
    if step not in _steps:
        _steps.append(step)


def announce(user: User) -> None:
    for step in _steps:
        step(user)
