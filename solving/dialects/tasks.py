"""What the dialects share once a request is understood: who asks, for which images, how to find them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from accounts import api_keys
from accounts.client_address import client_address
from accounts.models import ApiKey
from ml import registry
from ml.recognition.constraints import Constraints
from ml.recognition.pipeline import GENERAL
from solving import callbacks, reports, services
from solving.dialects import errors, lenient
from solving.dialects.errors import DialectError
from solving.errors import NotReportable
from solving.hints import MAX_LENGTH
from solving.models import Solve, TaskGroup, random_id
from solving.services import Hints, Item
from solving.throttles import count_request

NUMERIC = {1: "digits", 2: "letters", 3: "alphanumeric", 4: "both"}
MAX_IMAGES = 9
"""In `images` of the JSON dialect."""


@dataclass(frozen=True)
class Task:
    """The images that one id stands for, solved or refused; `several` where they were sent as a list."""

    id: int
    solves: Sequence[Solve]
    several: bool = False

    @property
    def solved(self) -> bool:
        return any(solve.outcome == Solve.Outcome.SOLVED for solve in self.solves)

    @property
    def reason(self) -> str:
        """Why none of it was solved."""
        return f"The captcha was not solved: {self.solves[0].reason}."

    @property
    def charged(self) -> int:
        return sum(solve.charged for solve in self.solves)


@dataclass(frozen=True)
class Message:
    """The body of a callback."""

    body: bytes
    content_type: str


def key_of(request: HttpRequest, value: Any, scope: str, *, counted: str | None = None) -> ApiKey:
    """The API key in a request, which may do `scope`; `counted` is the rate that the request counts for.

    Polls count for none: five a second for each task are usual, however many tasks there are.
    """
    text = lenient.text(value)
    if not api_keys.is_well_formed(text):
        raise DialectError(errors.WRONG_KEY)
    key = api_keys.identify(text, address=client_address(request))
    api_keys.require(key, scope)
    if counted is not None:
        count_request(counted, f"user-{key.user_id}")
    return key


def hints_of(
    *,
    numeric: Any = None,
    min_length: Any = None,
    max_length: Any = None,
    math: Any = None,
    min_confidence: float | None = None,
    captcha_type: Any = None,
    user_id: int,
) -> Hints:
    """The options of any dialect as constraints on decoding. Raises DialectError where they contradict."""
    least, most = _length(min_length), _length(max_length)
    if least is not None and most is not None and least > most:
        raise DialectError(errors.PARAMETERS, f"The least length, {least}, is above the greatest, {most}.")
    slug = lenient.text(captcha_type)
    recognizer = registry.recognizer(user_id)
    return Hints(
        captcha_type=slug if slug == GENERAL or slug in recognizer.readers else None,
        constraints=Constraints(
            min_length=least,
            max_length=most,
            numeric=NUMERIC.get(lenient.whole(numeric) or 0),
            math=lenient.truth(math),
        ),
        min_confidence=min_confidence,
    )


def solve(
    *,
    api_key: ApiKey,
    images: Sequence[bytes],
    hints: Hints,
    several: bool = False,
    shown_by_id: bool = False,
    callback_url: str = "",
    describe: Callable[[Task], Message] | None = None,
) -> Task:
    """Solve the images of one task, each paid for by itself, all committed at once.

    What `describe` makes of the task is sent to `callback_url`, if there is one. With `shown_by_id` whoever
    knows the id of a single image may ask for its text.
    """

    def tell(task: Task) -> None:
        if callback_url and describe is not None:
            message = describe(task)
            callbacks.enqueue(
                user_id=api_key.user_id,
                digest=api_key.digest,
                url=callback_url,
                body=message.body,
                content_type=message.content_type,
            )

    if not several:
        receipt = services.solve(
            user=api_key.user,
            image=images[0],
            hints=hints,
            api_key=api_key,
            shown_by_id=shown_by_id,
            before_commit=(lambda receipt: tell(_single(receipt.solve))) if callback_url else None,
        )
        return _single(receipt.solve)
    group = TaskGroup(id=random_id(), user_id=api_key.user_id)

    def store(receipt: services.BatchReceipt) -> None:
        group.solve_ids = [one.pk for one in _all_stored(receipt)]
        group.save(force_insert=True)
        tell(Task(group.pk, _all_stored(receipt), several=True))

    items = [Item(image, hints) for image in images]
    batch = services.solve_batch(user=api_key.user, items=items, api_key=api_key, before_commit=store)
    return Task(group.pk, _all_stored(batch), several=True)


def callback_url_of(value: Any) -> str:
    """The URL to tell the answer to; nothing for none. Raises DialectError for one that cannot be."""
    url = lenient.text(value)
    if not url:
        return ""
    try:
        return callbacks.check_url(url)
    except callbacks.UrlRefused as error:
        raise DialectError(errors.PARAMETERS, f"No callback can be sent: {error}.") from error


def _single(solve: Solve) -> Task:
    return Task(solve.pk, [solve])


def find(*, user_id: int, task_id: Any) -> Task:
    """A task of that user. Raises DialectError."""
    number = lenient.identifier(task_id)
    solve = Solve.objects.filter(pk=number, user_id=user_id).first()
    if solve is not None:
        return _single(solve)
    group = TaskGroup.objects.filter(pk=number, user_id=user_id).first()
    kept = {} if group is None else Solve.objects.in_bulk(group.solve_ids)
    if group is None or len(kept) < len(group.solve_ids):  # what is past its time goes in batches
        raise DialectError(errors.NO_TASK)
    return Task(number, [kept[pk] for pk in group.solve_ids], several=True)


def report(*, api_key: ApiKey, task: Task, verdict: str) -> None:
    """The same report on each answer of a task."""
    answered = [solve for solve in task.solves if solve.outcome == Solve.Outcome.SOLVED]
    if not answered:
        raise NotReportable
    reports.file_each(user=api_key.user, solves=answered, verdict=verdict)


def _all_stored(receipt: services.BatchReceipt) -> list[Solve]:
    """The solves of a list that is answered whole or not at all: its answers have no place for an error."""
    for one in receipt.outcomes:
        if not isinstance(one, Solve):
            raise one
    return [one for one in receipt.outcomes if isinstance(one, Solve)]


def _length(value: Any) -> int | None:
    length = lenient.whole(value)
    return length if length is not None and 1 <= length <= MAX_LENGTH else None
