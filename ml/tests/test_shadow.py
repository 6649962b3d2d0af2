"""A candidate in shadow reads along: nobody waits for it, nothing depends on it, and it is scored."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from ml import registry, shadow
from ml.models import Confirmation, ModelVersion, ShadowReading
from ml.recognition.decoding import Constraints
from ml.selectors import shadow_score
from ml.services import (
    CannotShadow,
    confirm,
    forget_shadow_readings,
    promote,
    register_version,
    start_shadow,
    stop_shadow,
)
from ml.tests.artifacts import picture, write_reader, write_types
from ml.tests.conftest import Clock, Roots, better

DARK = picture(0)


class Waiting(shadow.Shadow):
    """A queue without a thread: the test empties it."""

    def _start(self) -> None:
        pass


@pytest.fixture(autouse=True)
def own_shadow(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[shadow.Shadow]:
    settings.SHADOW_PERCENT = 100
    own = Waiting()
    monkeypatch.setattr(shadow, "_shadow", own)
    yield own
    own.stop()


@pytest.fixture
def candidate(shipped: Roots) -> ModelVersion:
    return register_version(
        folder=write_reader(shipped.trained, "dark", 1001, text="2KXQF", case_sensitive=False)
    )


def answered(reference: object, image: bytes = DARK, **changed: Any) -> None:
    """A solve was answered with "2KXQE" by dark/1, as far as `changed` says nothing else."""
    registry.recognizer()  # as every solve does first
    fields: dict[str, Any] = {
        "captcha_type": "dark",
        "text": "2KXQE",
        "answer": "2KXQE",
        "model_version": "dark/1",
        "constraints": Constraints(),
    }
    shadow.offer(reference=reference, image=image, **(fields | changed))


class TestReading:
    def test_a_reading_says_what_was_answered_and_what_the_candidate_makes_of_it(
        self, candidate: ModelVersion
    ) -> None:
        start_shadow(version=candidate)
        registry.reset()
        answered(4711)
        shadow.work_off()
        reading = ShadowReading.objects.get()
        assert (reading.version, reading.reference, reading.text) == (candidate, "4711", "2KXQF")
        assert (reading.served_version, reading.served_text, reading.agreed) == ("dark/1", "2KXQE", False)
        assert reading.confidence == pytest.approx(1)
        assert {field.name for field in ShadowReading._meta.fields} == {
            "id",
            "version",
            "reference",
            "text",
            "answer",
            "confidence",
            "served_version",
            "served_text",
            "served_answer",
            "agreed",
            "created",
        }  # fmt: skip (no image)

    def test_the_callers_constraints_hold_for_it_too(self, candidate: ModelVersion) -> None:
        start_shadow(version=candidate)
        registry.reset()
        answered(1, constraints=Constraints(max_length=4), text="2KXQ", answer="2KXQ")
        shadow.work_off()
        assert len(ShadowReading.objects.get().text) <= 4

    def test_where_it_would_refuse_its_text_is_empty(self, shipped: Roots) -> None:
        blind = register_version(folder=write_reader(shipped.trained, "dark", 1001, text=""))
        start_shadow(version=blind)
        registry.reset()
        answered(1)
        shadow.work_off()
        reading = ShadowReading.objects.get()
        assert (reading.text, reading.confidence, reading.agreed) == ("", None, False)
        assert shadow_score(blind).refused == 1

    def test_the_general_reader_may_read_along(self, shipped: Roots) -> None:
        version = register_version(folder=write_reader(shipped.trained, "general", 1001, text="GENERAL"))
        start_shadow(version=version)
        registry.reset()
        answered(1, captcha_type="general", text="GENERAL", answer="GENERAL", model_version="general/1")
        shadow.work_off()
        assert ShadowReading.objects.get().agreed

    def test_sums_agree_by_their_value(self, shipped: Roots) -> None:
        version = register_version(
            folder=write_reader(shipped.trained, "bright", 1001, text="33+2", arithmetic=True)
        )
        start_shadow(version=version)
        registry.reset()
        answered(1, captcha_type="bright", text="33+2=?", answer="35", model_version="bright/1")
        shadow.work_off()
        reading = ShadowReading.objects.get()
        assert (reading.text, reading.answer, reading.agreed) == ("33+2", "35", True)

    def test_a_solve_is_kept_once(self, candidate: ModelVersion) -> None:
        start_shadow(version=candidate)
        registry.reset()
        for _ in range(2):
            answered(1)
            shadow.work_off()
        assert ShadowReading.objects.count() == 1


class TestNobodyWaits:
    def test_without_a_shadow_nothing_is_kept_and_no_query_made(
        self, shipped: Roots, own_shadow: shadow.Shadow
    ) -> None:
        registry.recognizer()
        with CaptureQueriesContext(connection) as queries:
            answered(1)
        assert len(queries) == 0
        assert own_shadow._queue.empty()

    def test_a_refused_captcha_and_another_type_are_not_read(
        self, candidate: ModelVersion, own_shadow: shadow.Shadow
    ) -> None:
        start_shadow(version=candidate)
        registry.reset()
        answered(1, text="")
        answered(2, captcha_type="bright")
        answered(3, image=bytes(shadow.LARGEST + 1))
        assert own_shadow._queue.empty()

    def test_a_full_queue_drops(self, candidate: ModelVersion, own_shadow: shadow.Shadow) -> None:
        start_shadow(version=candidate)
        registry.reset()
        for number in range(shadow.WAITING + 5):
            answered(number)
        assert own_shadow.dropped == 5
        shadow.work_off()
        assert ShadowReading.objects.count() == shadow.WAITING

    def test_the_share_is_a_setting(
        self, candidate: ModelVersion, own_shadow: shadow.Shadow, settings: Any, monkeypatch: Any
    ) -> None:
        start_shadow(version=candidate)
        registry.reset()
        settings.SHADOW_PERCENT = 25
        draws = iter([0.1, 0.24, 0.26, 0.9])
        monkeypatch.setattr(shadow.random, "random", lambda: next(draws))
        for number in range(4):
            answered(number)
        assert own_shadow._queue.qsize() == 2

    def test_whatever_fails_the_caller_hears_nothing(
        self, candidate: ModelVersion, own_shadow: shadow.Shadow, monkeypatch: Any, caplog: Any
    ) -> None:
        start_shadow(version=candidate)
        registry.reset()

        def fail(answered: shadow.Answered) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(own_shadow, "put", fail)
        answered(1)
        assert "dark was not read in shadow" in caplog.text

    def test_a_candidate_that_does_not_load_shows_red_and_is_not_tried_at_every_image(
        self, candidate: ModelVersion, monkeypatch: Any
    ) -> None:
        start_shadow(version=candidate)
        (candidate.path / "reader.onnx").write_bytes(b"damaged")
        registry.reset()
        tries: list[object] = []
        open_model = shadow.open_model

        def open_and_note(row: Any) -> Any:
            tries.append(row)
            return open_model(row)

        monkeypatch.setattr(shadow, "open_model", open_and_note)
        for number in range(3):
            answered(number)
        shadow.work_off()
        assert len(tries) == 1
        candidate.refresh_from_db()
        assert "dark/1001 cannot be loaded" in candidate.load_error
        assert registry.recognizer().recognize(DARK).text == "2KXQE"
        assert registry.ready().problems == []

    def test_a_picture_that_breaks_the_candidate_costs_its_own_reading_alone(
        self, candidate: ModelVersion, monkeypatch: Any
    ) -> None:
        start_shadow(version=candidate)
        registry.reset()
        answered(1, image=b"no picture at all")
        answered(2)
        shadow.work_off()
        assert list(ShadowReading.objects.order_by("reference").values_list("text", flat=True)) == [
            "",
            "2KXQF",
        ]

    @pytest.mark.django_db(transaction=True)
    def test_the_thread_reads_and_stores_by_itself_and_ends_when_told(
        self, roots: Roots, monkeypatch: Any
    ) -> None:
        for number, text in ((1, "2KXQE"), (2, "2KXQF")):
            write_reader(roots.trained, "dark", number, text=text)
            register_version(folder=roots.trained / "dark" / str(number))
        serving, candidate = ModelVersion.objects.order_by("version")
        promote(version=serving, reason="first", force=True)
        start_shadow(version=candidate)
        own = shadow.Shadow()
        monkeypatch.setattr(shadow, "_shadow", own)
        stored = threading.Event()
        store = own._store

        def store_and_tell() -> None:
            store()
            stored.set()

        monkeypatch.setattr(own, "_store", store_and_tell)
        answered("a")
        answered("b")
        assert stored.wait(30)
        own.stop()
        assert own._thread is not None
        assert not own._thread.is_alive()
        assert set(ShadowReading.objects.values_list("reference", flat=True)) == {"a", "b"}


class TestStartAndStop:
    def test_workers_notice_within_a_second_with_the_same_query(
        self, candidate: ModelVersion, clock: Clock, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(registry, "_registry", registry.Registry(clock))
        registry.recognizer()
        start_shadow(version=candidate)
        assert not registry.shadows()
        clock.now += registry.CHECK_SECONDS
        reader = registry.recognizer().readers["dark"]
        assert [str(row) for row in registry.shadows().values()] == ["dark/1001"]
        stop_shadow(slug="dark")
        clock.now += registry.CHECK_SECONDS
        with CaptureQueriesContext(connection) as queries:
            assert registry.recognizer().readers["dark"] is reader
        assert len(queries) == 1
        assert not registry.shadows()

    def test_one_version_of_a_slug_at_a_time(self, candidate: ModelVersion, shipped: Roots) -> None:
        start_shadow(version=candidate)
        other = register_version(folder=write_reader(shipped.trained, "dark", 1002))
        start_shadow(version=other)
        candidate.refresh_from_db()
        assert candidate.shadow_since is None
        with pytest.raises(IntegrityError), transaction.atomic():
            ModelVersion.objects.filter(pk=candidate.pk).update(shadow_since="2026-01-01T00:00Z")

    def test_a_promotion_ends_it(self, shipped: Roots) -> None:
        version = better(write_reader(shipped.trained, "dark", 1001))
        start_shadow(version=version)
        version.refresh_from_db()
        promote(version=version, reason="it agreed for a week")
        version.refresh_from_db()
        assert (version.state, version.shadow_since) == ("serving", None)

    def test_who_cannot_read_along(self, shipped: Roots) -> None:
        types = register_version(folder=write_types(shipped.trained, 1001))
        alone = register_version(folder=write_reader(shipped.trained, "third"))
        broken = register_version(folder=write_reader(shipped.trained, "dark", 1001))
        (broken.path / "reader.onnx").unlink()
        for version, complaint in (
            (types, "only readers read along"),
            (alone, "nothing serves as third"),
            (ModelVersion.objects.get(slug="dark", version=1), "dark/1 serves"),
            (broken, "does not load"),
        ):
            with pytest.raises(CannotShadow, match=complaint):
                start_shadow(version=version)
        assert not ModelVersion.objects.filter(shadow_since__isnull=False).exists()

    def test_by_command(self, candidate: ModelVersion, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("shadow", "dark", "1001")
        assert "dark/1001 reads 100 % of what is solved as dark" in capsys.readouterr().out
        registry.reset()
        answered(1)
        shadow.work_off()
        call_command("models")
        assert "in shadow since" in capsys.readouterr().out
        call_command("shadow", "dark", "--stop")
        assert "agrees on 0.00 % (0 of 1" in capsys.readouterr().out
        call_command("shadow", "dark", "1001", "--forget")
        assert "1 readings of dark/1001 deleted" in capsys.readouterr().out
        for words, complaint in (
            (["dark", "--stop"], "No version of dark is in shadow"),
            (["dark", "7"], "no dark/7"),
            (["dark"], "Name the version"),
            (["dark", "1"], "dark/1 serves"),
        ):
            with pytest.raises(CommandError, match=complaint):
                call_command("shadow", *words)


class TestScore:
    @pytest.fixture
    def readings(self, candidate: ModelVersion) -> ModelVersion:
        """Solves a to e; the candidate agrees on a and b alone."""
        for reference, text in (("a", "2KXQE"), ("b", "2KXQE"), ("c", "2KXQF"), ("d", "2KXQF"), ("e", "")):
            ShadowReading.objects.create(
                version=candidate,
                reference=reference,
                text=text,
                answer=text,
                served_version="dark/1",
                served_text="2KXQE",
                served_answer="2KXQE",
                agreed=text == "2KXQE",
            )
        return candidate

    def test_agreement_needs_no_confirmation(self, readings: ModelVersion) -> None:
        score = shadow_score(readings)
        assert (score.n, score.agreed, score.refused, score.confirmed) == (5, 2, 1, 0)
        assert str(score).startswith("agrees on 40.00 % (2 of 5")

    def test_confirmations_say_who_was_right_in_either_order(
        self, readings: ModelVersion, candidate: ModelVersion
    ) -> None:
        confirm(reference="a", text="2kxqe")  # the type's case does not count
        confirm(reference="c", text="2KXQF")
        confirm(reference="e", text="OTHER")
        confirm(reference="of a solve that nobody read in shadow", text="2KXQF")
        score = shadow_score(readings)
        assert (score.confirmed, score.right, score.served_right) == (3, 2, 1)
        assert "of 3 confirmed it reads 2 right (1 were answered right)" in str(score)

    def test_reports_say_that_an_answer_was_wrong(self, readings: ModelVersion) -> None:
        confirm(reference="b", text="2KXQE", right=False)
        confirm(reference="d", text="2KXQE", right=False)
        score = shadow_score(readings)
        assert (score.reported, score.repeated, score.confirmed) == (2, 1, 0)

    def test_a_right_text_replaces_a_report_and_never_the_other_way(self, readings: ModelVersion) -> None:
        confirm(reference="d", text="2KXQE", right=False)
        confirm(reference="d", text="2KXQF")
        confirm(reference="d", text="2KXQF", right=False)
        told = Confirmation.objects.get(reference="d")
        assert (told.text, told.right) == ("2KXQF", True)
        confirm(reference="d", text="2KXQG")
        assert shadow_score(readings).right == 0

    def test_sums_may_be_confirmed_by_text_or_value(self, shipped: Roots) -> None:
        version = register_version(
            folder=write_reader(shipped.trained, "bright", 1001, text="33+2", arithmetic=True)
        )
        for reference, told in ((1, "33+2"), (2, "35"), (3, "36")):
            ShadowReading.objects.create(
                version=version, reference=str(reference), text="33+2", answer="35", agreed=True,
                served_version="bright/1", served_text="33+2=?", served_answer="35",
            )  # fmt: skip
            confirm(reference=reference, text=told)
        assert shadow_score(version).right == 2

    def test_it_takes_one_query_and_readings_can_be_forgotten(self, readings: ModelVersion) -> None:
        with CaptureQueriesContext(connection) as queries:
            shadow_score(readings)
        assert len(queries) == 1
        assert forget_shadow_readings(version=readings) == 5
        assert str(shadow_score(readings)) == "no readings yet"
