"""Eight people at once, here threads with a connection each, on the database of the run."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection

from labeling.models import Assignment, Label, Sample
from labeling.tests.conftest import MakePerson, Page
from ml.models import CaptchaType

pytestmark = pytest.mark.django_db(transaction=True)

MakeSample = Callable[..., Sample]


def at_once(tasks: Sequence[Callable[[], object]]) -> list[BaseException]:
    """Run the tasks in threads that begin together; the exceptions they ended with."""
    barrier = threading.Barrier(len(tasks))
    errors: list[BaseException] = []

    def work(task: Callable[[], object]) -> None:
        try:
            barrier.wait(30)
            task()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[task]) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return errors


def test_eight_people_on_one_queue_never_share_an_image(
    captcha_type: CaptchaType, make_person: MakePerson, make_sample: MakeSample
) -> None:
    for _ in range(160):
        make_sample()
    pages = [Page(captcha_type, make_person(f"person{number}")) for number in range(8)]

    def labelling(page: Page) -> Callable[[], None]:
        def work() -> None:
            while items := page.claim():
                for item in items:
                    assert page.save(item, "AB").state == "saved"

        return work

    assert at_once([labelling(page) for page in pages]) == []
    given = Counter(
        Assignment.objects.filter(purpose=Assignment.Purpose.LABEL).values_list("sample", flat=True)
    )
    assert len(given) == 160
    assert set(given.values()) == {1}
    assert Sample.objects.filter(status="agreed").count() == 160


def test_of_a_save_that_arrives_eight_times_at_once_one_is_kept(
    captcha_type: CaptchaType, ada: Any, make_sample: MakeSample
) -> None:
    make_sample()
    page, save_id = Page(captcha_type, ada), uuid.uuid4()
    item = page.claim()[0]
    answers: list[Any] = []
    save = lambda: answers.append(page.save(item, "AB", save_id=save_id))  # noqa: E731
    assert at_once([save] * 8) == []
    assert {answer.state for answer in answers} == {"saved"}
    assert Label.objects.get().save_id == save_id


def test_two_blind_readings_at_the_same_moment_are_both_counted(
    captcha_type: CaptchaType, ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    samples = [make_sample(split="test") for _ in range(5)]
    pages = [Page(captcha_type, ada), Page(captcha_type, ben)]
    held = []
    for page in pages:
        held.append(page.claim())
        Sample.objects.update(lease_person=None, lease_until=None)

    def saving(number: int) -> Callable[[], object]:
        return lambda: [pages[number].save(item, "AB") for item in held[number]]

    assert at_once([saving(0), saving(1)]) == []
    assert {(one.status, one.opinions) for one in Sample.objects.all()} == {("agreed", 2)}
    assert Label.objects.count() == 2 * len(samples)
