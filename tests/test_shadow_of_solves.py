"""A candidate in shadow reads what is solved over HTTP, and changes neither answer nor charge."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts import credits, services, tokens
from accounts.models import LedgerEntry
from ml import registry, shadow
from ml.models import ModelVersion, ShadowReading
from ml.selectors import shadow_score
from ml.services import confirm, install_shipped_models, register_version, start_shadow
from ml.tests.artifacts import picture, write_reader
from solving.models import Solve


class Waiting(shadow.Shadow):
    """A queue without a thread: the test empties it."""

    def _start(self) -> None:
        pass


@pytest.fixture
def candidate(tmp_path: Path, settings: Any, db: None, monkeypatch: Any) -> Iterator[ModelVersion]:
    """`dark` is read as "2KXQE"; a candidate that reads "2KXQF" is registered."""
    settings.SHIPPED_ARTIFACTS, settings.ARTIFACTS_ROOT = tmp_path / "shipped", tmp_path / "trained"
    settings.SHADOW_PERCENT = 100
    monkeypatch.setattr(shadow, "_shadow", Waiting())
    write_reader(settings.SHIPPED_ARTIFACTS, "dark", text="2KXQE")
    install_shipped_models()
    registry.reset()
    yield register_version(folder=write_reader(settings.ARTIFACTS_ROOT, "dark", 1001, text="2KXQF"))
    registry.reset()


def client() -> Client:
    user = services.register_user(username="ada", email="ada@example.org", password="a good password 4711")
    credits.grant(user=user, amount=10, reason="test", actor="test")
    return Client(headers={"authorization": f"Bearer {tokens.access_token(user=user)}"})


def solve(client: Client, **headers: str) -> dict[str, Any]:
    image = SimpleUploadedFile("captcha.png", picture(0), content_type="image/png")
    answer = client.post("/api/v1/solves", {"image": image, "captcha_type": "dark"}, headers=headers)
    assert answer.status_code in (200, 201), answer.content
    body: dict[str, Any] = answer.json()
    return body


def test_it_reads_what_was_answered_and_changes_neither_answer_nor_charge(candidate: ModelVersion) -> None:
    caller = client()
    without = solve(caller)
    start_shadow(version=candidate)
    registry.reset()
    beside = solve(caller)
    assert (beside["text"], without["text"]) == ("2KXQE", "2KXQE")
    assert LedgerEntry.objects.filter(amount__lt=0).count() == 2
    shadow.work_off()
    reading = ShadowReading.objects.get()
    stored = Solve.objects.order_by("created").last()
    assert stored is not None
    assert (reading.reference, reading.served_text, reading.text) == (str(stored.pk), "2KXQE", "2KXQF")
    confirm(reference=stored.pk, text="2KXQF")
    assert shadow_score(candidate).right == 1


def test_a_repeated_request_is_not_read_again(candidate: ModelVersion) -> None:
    caller = client()
    start_shadow(version=candidate)
    registry.reset()
    for _ in range(2):
        solve(caller, **{"idempotency-key": "one and the same"})
    shadow.work_off()
    assert ShadowReading.objects.count() == 1


def test_a_candidate_that_is_broken_breaks_no_answer(candidate: ModelVersion) -> None:
    caller = client()
    start_shadow(version=candidate)
    (candidate.path / "reader.onnx").write_bytes(b"damaged")
    registry.reset()
    assert solve(caller)["text"] == "2KXQE"
    shadow.work_off()
    assert solve(caller)["text"] == "2KXQE"
    assert not ShadowReading.objects.exists()
