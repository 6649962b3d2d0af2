"""A training for credits: charged once, paid back once, refused before anything is charged."""

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from accounts import credits
from accounts.credits import InsufficientCredits
from accounts.models import LedgerEntry, User
from accounts.selectors import drifting_accounts
from jobs import interpreters, launching
from jobs import services as jobs
from jobs.models import JobRun
from jobs.tests.conftest import database_url_of_test
from labeling.models import Dataset, Sample
from ml.models import CaptchaType
from own_types import services, trainings
from own_types.errors import (
    AwaitsApproval,
    CannotTrainYet,
    OwnTypeError,
    TooManyTrainings,
    TrainingUnderWay,
)
from own_types.models import Approval, Training
from own_types.tests.conftest import PRICE, TEXTS, bring, browser_of, end, entries, opened, order

pytestmark = pytest.mark.django_db

PAID = [("training", -PRICE)]
PAID_BACK = [*PAID, ("refund", PRICE)]


def nothing_happened(user: User) -> bool:
    return not (entries(user) or Training.objects.exists() or JobRun.objects.exists())


@pytest.mark.usefixtures("_no_launch")
class TestOrder:
    def test_it_is_charged_and_queued_together(self, ada: User, gate: CaptchaType) -> None:
        placed = order(ada, gate)
        entry = LedgerEntry.objects.get(kind="training")
        assert (entry.amount, entry.balance_after, entry.reference) == (-PRICE, 30, f"training {placed.pk}")
        run = JobRun.objects.get()
        assert placed.run == run
        assert run.arguments == [gate.slug, str(placed.dataset), "--minutes", "3"]

    def test_the_same_key_is_the_same_training(self, ada: User, gate: CaptchaType) -> None:
        key = uuid.uuid4()
        assert order(ada, gate, key) == order(ada, gate, key)
        assert entries(ada) == PAID

    def test_a_key_is_its_users_own(self, ada: User, eve: User, gate: CaptchaType) -> None:
        theirs = opened(eve)
        bring(eve, theirs)
        key = uuid.uuid4()
        assert order(ada, gate, key).user == ada
        assert order(eve, theirs, key).user == eve

    def test_one_at_a_time(self, ada: User, gate: CaptchaType) -> None:
        other = opened(ada, "other")
        bring(ada, other)
        order(ada, gate)
        for captcha_type in (gate, other):
            with pytest.raises(TrainingUnderWay):
                order(ada, captcha_type)
        assert entries(ada) == PAID

    def test_a_training_of_the_staffs_keeps_the_type(self, ada: User, clerk: User, gate: CaptchaType) -> None:
        from labeling import training

        training.train(captcha_type=gate, by=clerk)
        with pytest.raises(TrainingUnderWay):
            order(ada, gate)
        assert entries(ada) == []

    def test_so_many_a_day_whatever_became_of_them(self, ada: User, gate: CaptchaType, settings: Any) -> None:
        settings.TRAININGS_PER_DAY = 2
        for _ in range(2):
            end(order(ada, gate))
        with pytest.raises(TooManyTrainings, match="tomorrow"):
            order(ada, gate)
        Training.objects.update(created=timezone.now() - timedelta(days=1))
        order(ada, gate)

    def test_without_the_credits_nothing_happens(self, ada: User, gate: CaptchaType) -> None:
        credits.grant(user=ada, amount=-31, reason="for the test", actor="the test")
        with pytest.raises(InsufficientCredits):
            order(ada, gate)
        assert nothing_happened(ada)
        assert not Dataset.objects.exists()

    def test_credits_that_go_meanwhile_undo_order_and_job(
        self, ada: User, gate: CaptchaType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(credits, "balance", lambda user: PRICE)  # as it was a moment ago
        credits.grant(user=ada, amount=-31, reason="for the test", actor="the test")
        with pytest.raises(InsufficientCredits):
            order(ada, gate)
        assert nothing_happened(ada)

    @pytest.mark.parametrize(
        ("texts", "said"), [([], "0 images"), (TEXTS[:5], "too few"), (["AA"] * 12, "nothing can be learned")]
    )
    def test_labels_that_teach_nothing_are_refused_free(self, ada: User, texts: list[str], said: str) -> None:
        captcha_type = opened(ada)
        bring(ada, captcha_type, [f"{text}__{number}" for number, text in enumerate(texts)])
        Sample.objects.update(split="train")
        with pytest.raises(CannotTrainYet, match=said):
            order(ada, captcha_type)
        assert nothing_happened(ada)

    def test_without_an_environment_nothing_is_charged(
        self, ada: User, gate: CaptchaType, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.TRAINING_PYTHON = ""
        monkeypatch.setattr(interpreters, "find_spec", lambda name: None)
        with pytest.raises(CannotTrainYet, match="tell whoever runs"):
            order(ada, gate)
        assert nothing_happened(ada)

    def test_a_price_of_nothing_needs_no_entry(self, ada: User, gate: CaptchaType, settings: Any) -> None:
        settings.TRAINING_PRICE = 0
        placed = order(ada, gate)
        end(placed)
        assert trainings.settle(placed)
        assert entries(ada) == []
        assert Training.objects.get().state == "paid_back"

    def test_leave_is_asked_for_and_nothing_charged_before(
        self, ada: User, clerk: User, gate: CaptchaType, settings: Any
    ) -> None:
        settings.PRIVATE_TYPES_NEED_APPROVAL = True
        for _ in range(2):
            with pytest.raises(AwaitsApproval):
                order(ada, gate)
        assert nothing_happened(ada)
        approval = Approval.objects.get()
        assert services.approve(approval=approval, by=clerk)
        assert not services.approve(approval=approval, by=clerk)
        order(ada, gate)
        assert entries(ada) == PAID

    def test_the_newest_data_sets_are_kept(self, ada: User, gate: CaptchaType, settings: Any) -> None:
        settings.TRAININGS_PER_DAY = 9
        for number in range(5):
            bring(ada, gate, [f"Z{number}"])
            credits.grant(user=ada, amount=PRICE, reason="for the test", actor="the test")
            end(order(ada, gate))
        numbers = (
            Dataset.objects.filter(captcha_type=gate).order_by("number").values_list("number", flat=True)
        )
        assert list(numbers) == [3, 4, 5]
        folder = site_settings.DATASETS_ROOT / gate.slug
        assert sorted(one.name for one in folder.iterdir()) == ["3", "4", "5"]


@pytest.mark.usefixtures("_no_launch")
class TestSettle:
    @pytest.mark.parametrize("state", ["failed", "cancelled"])
    def test_without_a_version_it_is_paid_back_once(self, ada: User, gate: CaptchaType, state: str) -> None:
        placed = order(ada, gate)
        assert not trainings.settle(placed)  # it has not ended
        end(placed, state)
        assert trainings.settle(placed)
        stale = Training.objects.get()
        stale.state = Training.State.UNDER_WAY
        assert not trainings.settle(stale)
        assert entries(ada) == PAID_BACK
        assert credits.balance(ada) == 50

    def test_success_without_a_version_is_paid_back_too(self, ada: User, gate: CaptchaType) -> None:
        placed = order(ada, gate)
        end(placed, "succeeded")
        trainings.settle(placed)
        assert entries(ada) == PAID_BACK

    def test_a_job_that_was_pruned_is_paid_back(self, ada: User, gate: CaptchaType) -> None:
        order(ada, gate)
        JobRun.objects.all().delete()
        call_command("settle_trainings")
        assert entries(ada) == PAID_BACK

    @pytest.mark.usefixtures("readers")
    @pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
    def test_what_a_version_came_out_of_stays_paid(
        self, ada: User, gate: CaptchaType, run_training: Callable[..., None], state: str
    ) -> None:
        placed = order(ada, gate)
        run_training(placed, state=state)
        assert trainings.settle_all() == 1
        placed.refresh_from_db()
        assert (placed.state, str(placed.version)) == ("done", f"{gate.slug}/1")
        assert entries(ada) == PAID

    @pytest.mark.usefixtures("readers")
    def test_an_earlier_version_is_no_result(
        self, ada: User, gate: CaptchaType, run_training: Callable[..., None]
    ) -> None:
        run_training(order(ada, gate))
        second = order(ada, gate)
        assert second.version_before == 1
        end(second)
        trainings.settle_all()
        assert entries(ada) == [*PAID, *PAID_BACK]

    def test_cancelled_before_it_began_it_comes_back_at_once(self, ada: User, gate: CaptchaType) -> None:
        trainings.cancel(order(ada, gate))
        assert entries(ada) == PAID_BACK

    def test_cancelled_while_it_runs_it_comes_back_at_its_end(self, ada: User, gate: CaptchaType) -> None:
        placed = order(ada, gate)
        run = jobs.claim(run_id=JobRun.objects.get().pk, host="here", pid=1)
        assert run is not None
        placed.refresh_from_db()
        trainings.cancel(placed)
        assert entries(ada) == PAID
        jobs.finish(run, state="cancelled")
        call_command("settle_trainings")
        assert entries(ada) == PAID_BACK

    def test_an_ended_one_does_not_stand_in_the_way_of_the_next(self, ada: User, gate: CaptchaType) -> None:
        end(order(ada, gate))
        order(ada, gate)
        assert entries(ada) == [*PAID_BACK, *PAID]

    def test_a_run_taken_up_again_is_paid_once(self, ada: User, gate: CaptchaType) -> None:
        placed = order(ada, gate)
        run = jobs.claim(run_id=JobRun.objects.get().pk, host="here", pid=1)
        assert run is not None
        jobs.give_back(run, why="its process was killed")
        placed.refresh_from_db()
        assert not trainings.settle(placed)
        assert placed.run is not None
        assert placed.run.state == "queued"
        assert entries(ada) == PAID


def in_threads(works: list[Callable[[], object]]) -> list[object]:
    """Begin all at once; what each gave or raised."""
    gate, results = threading.Barrier(len(works)), [object()] * len(works)

    def run(place: int) -> None:
        try:
            gate.wait()
            results[place] = works[place]()
        except OwnTypeError as error:
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.usefixtures("_no_launch")
@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_orders_at_once_are_one(self, ada: User, gate: CaptchaType) -> None:
        same = uuid.uuid4()
        works = [
            lambda key=key: order(ada, gate, key) for key in (same, same, same, uuid.uuid4(), uuid.uuid4())
        ]
        results = in_threads(works)  # type: ignore[arg-type]
        placed = Training.objects.get()
        assert all(one == placed or isinstance(one, TrainingUnderWay) for one in results)
        assert placed in results
        assert JobRun.objects.count() == 1
        assert entries(ada) == PAID

    def test_settled_at_once_it_is_paid_back_once(self, ada: User, gate: CaptchaType) -> None:
        end(order(ada, gate))
        results = in_threads([trainings.settle_all] * 5)
        assert sorted(map(str, results)) == ["0", "0", "0", "0", "1"]
        assert entries(ada) == PAID_BACK
        assert list(drifting_accounts()) == []


ORDER_AND_DIE = """
import json, os, signal, sys, uuid
import django
django.setup()
from accounts import credits
from accounts.models import User
from jobs import launching
from ml.models import CaptchaType
from own_types import trainings

told = json.loads(sys.argv[1])
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
charge = credits.charge
if told["when"] == "after the commit":
    launching.launch = die
else:
    credits.charge = lambda **of: (charge(**of), die())
trainings.order(
    user=User.objects.get(pk=told["user"]),
    captcha_type=CaptchaType.objects.get(pk=told["type"]),
    key=uuid.UUID(told["key"]),
)
"""


@pytest.mark.django_db(transaction=True)
class TestKilled:
    def ordered_by_a_process_that_dies(self, user: User, captcha_type: CaptchaType, when: str) -> uuid.UUID:
        key = uuid.uuid4()
        told = {"user": user.pk, "type": captcha_type.pk, "key": str(key), "when": when}
        roots = ("SAMPLES_ROOT", "DATASETS_ROOT", "ARTIFACTS_ROOT", "TRAINING_PYTHON", "TRAINING_PRICE")
        own = {name: str(getattr(site_settings, name)) for name in roots}
        died = subprocess.run(
            [sys.executable, "-c", ORDER_AND_DIE, json.dumps(told)],
            cwd=site_settings.BASE_DIR,
            env=os.environ | own | {"DATABASE_URL": database_url_of_test()},
        )
        assert died.returncode == -signal.SIGKILL
        return key

    @pytest.mark.usefixtures("_no_launch")
    def test_before_the_commit_nothing_was_charged(self, ada: User, gate: CaptchaType) -> None:
        key = self.ordered_by_a_process_that_dies(ada, gate, "before the commit")
        assert nothing_happened(ada)
        order(ada, gate, key)
        assert entries(ada) == PAID

    def test_between_the_charge_and_the_job_nothing_is_lost(
        self, ada: User, gate: CaptchaType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = self.ordered_by_a_process_that_dies(ada, gate, "after the commit")
        assert entries(ada) == PAID
        run = JobRun.objects.get()
        assert run.state == "queued"
        assert order(ada, gate, key).run == run  # whoever presses again gets the same one
        launched: list[int] = []
        monkeypatch.setattr(launching, "launch", lambda run: launched.append(run.pk))
        JobRun.objects.update(launched=timezone.now() - 2 * jobs.OVERDUE)
        call_command("run_due_jobs")
        assert launched == [run.pk]
        JobRun.objects.update(launched=timezone.now() - 2 * jobs.OVERDUE)
        browser_of(ada).get(
            f"/accounts/types/{gate.slug}/training"
        )  # nor is a schedule needed while she looks
        assert launched == [run.pk, run.pk]
        assert entries(ada) == PAID
