"""Shadow mode: a candidate reads a share of the live traffic, and nobody waits for it.

`offer` is called with each answer that has been given. When a version is in shadow for that captcha's type,
a share of the images goes into a short queue in memory; a thread of the process reads them with the candidate
and stores its texts, many in one transaction. A full queue drops what is offered. An image lives in memory
until it is read and is never stored; a candidate that fails costs its own readings and nothing else.
"""

import atexit
import contextlib
import logging
import os
import queue
import random
import threading
import time
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, connection

from ml import registry
from ml.models import GENERAL_SLUG, ModelVersion, ShadowReading
from ml.recognition.decoding import Constraints
from ml.recognition.images import ImageError
from ml.recognition.pipeline import Recognizer, Unsolvable
from ml.recognition.reader import Reader
from ml.registry import RETRY_SECONDS, ServingVersion, open_model

logger = logging.getLogger(__name__)

WAITING = 16
"""Images that may wait in memory; captchas are a few kilobytes."""
LARGEST = 256 * 1024
"""Bytes of the largest image that is kept waiting, so that a full queue holds 4 MiB."""
TOGETHER = 100
"""Readings that are stored in one transaction at most: on SQLite each costs a wait for the disk."""
STORE_SECONDS = 1.0
"""How long a reading waits for others before all of them are stored."""
IDLE_SECONDS = 5.0
"""How often the idle thread looks whether the models it holds are still in shadow."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A solve as it was answered; `reference` names it."""

    reference: str
    image: bytes
    slug: str
    text: str
    answer: str
    model_version: str
    constraints: Constraints


def offer(
    *,
    reference: object,
    image: bytes,
    captcha_type: str,
    text: str,
    answer: str,
    model_version: str,
    constraints: Constraints,
) -> None:
    """Let the version in shadow for `captcha_type`, if there is one, read `image` later.

    Neither waits nor raises: the answer that was paid for is on its way.
    """
    if captcha_type not in registry.shadows() or not text:
        return
    if random.random() * 100 >= settings.SHADOW_PERCENT or len(image) > LARGEST:
        return
    try:
        _shadow.put(Answered(str(reference), image, captcha_type, text, answer, model_version, constraints))
    except Exception:
        logger.exception("%s was not read in shadow", captcha_type)


class Shadow:
    """One process's queue, and the thread that empties it. The thread starts with the first image."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Answered | None] = queue.Queue(WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._opened: dict[str, tuple[ServingVersion, Reader]] = {}
        self._failed: dict[str, tuple[ServingVersion, float]] = {}
        self._unstored: list[ShadowReading] = []
        self._store_at = 0.0
        self.dropped = 0

    def put(self, answered: Answered) -> None:
        try:
            self._queue.put_nowait(answered)
        except queue.Full:
            self.dropped += 1
            return
        if self._thread is None:
            self._start()

    def work_off(self) -> None:
        """Read and store all that waits, in the calling thread."""
        while True:
            try:
                answered = self._queue.get_nowait()
            except queue.Empty:
                break
            if answered is not None:
                self._read(answered)
        self._store()

    def stop(self) -> None:
        """Let the thread finish what it reads and store it; what still waits is dropped."""
        self._stopping.set()
        if self._thread is None or not self._thread.is_alive():
            return
        with contextlib.suppress(queue.Full):  # full: the thread is awake
            self._queue.put_nowait(None)
        self._thread.join(timeout=2)

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                wait = max(0.0, self._store_at - time.monotonic()) if self._unstored else IDLE_SECONDS
                try:
                    answered = self._queue.get(timeout=wait)
                except queue.Empty:
                    self._close_what_ended()
                else:
                    if answered is not None:
                        self._read(answered)
                if self._unstored and (len(self._unstored) >= TOGETHER or time.monotonic() >= self._store_at):
                    self._store()
            self._store()
        except Exception:
            logger.exception("shadow mode stops in this process")

    def _read(self, answered: Answered) -> None:
        row = registry.shadows().get(answered.slug)
        if row is None:  # it was stopped or promoted meanwhile
            return
        try:
            reader = self._reader(row)
            if reader is None:
                return
            reading = _reading(row, reader, answered)
        except Exception as error:
            # Everything, on purpose: a candidate may be broken in any way.
            logger.warning("shadow %s fails on %s: %s", row, answered.reference, error)
            self._release_connection()
            return
        if not self._unstored:
            self._store_at = time.monotonic() + STORE_SECONDS
        self._unstored.append(reading)

    def _reader(self, row: ServingVersion) -> Reader | None:
        opened = self._opened.get(row.slug)
        if opened is not None and opened[0] == row:
            return opened[1]
        failed, until = self._failed.get(row.slug, (None, 0.0))
        if failed == row and time.monotonic() < until:
            return None
        try:
            model = open_model(row)
        except Exception as error:
            self._failed[row.slug] = row, time.monotonic() + RETRY_SECONDS
            message = f"{row} cannot be loaded: {error}"
            logger.warning("shadow: %s", message)
            self._note(row, message)
            return None
        if not isinstance(model, Reader):
            return None
        self._note(row, "")
        self._opened[row.slug] = row, model
        return model

    def _note(self, row: ServingVersion, message: str) -> None:
        """Store with the version why it does not load, or that it does."""
        ModelVersion.objects.filter(pk=row.pk).exclude(load_error=message).update(load_error=message)
        self._release_connection()

    def _close_what_ended(self) -> None:
        at_work = registry.shadows()
        self._opened = {slug: pair for slug, pair in self._opened.items() if at_work.get(slug) == pair[0]}

    def _release_connection(self) -> None:
        """In the thread no request ends that would close a connection grown old."""
        if threading.current_thread() is self._thread:
            connection.close()

    def _store(self) -> None:
        readings, self._unstored = self._unstored, []
        try:
            if readings:
                # A solve that was read already is left out.
                ShadowReading.objects.bulk_create(readings, ignore_conflicts=True)
        except DatabaseError as error:
            logger.warning("%d readings in shadow are lost: %s", len(readings), error)
        finally:
            self._release_connection()


def _reading(row: ServingVersion, reader: Reader, answered: Answered) -> ShadowReading:
    """What the version in shadow would have answered."""
    text, answer, confidence = "", "", None
    general = row.slug == GENERAL_SLUG
    recognizer = Recognizer(None, {} if general else {row.slug: reader}, reader if general else None)
    try:
        recognition = recognizer.recognize(
            answered.image,
            captcha_type=row.slug,
            constraints=answered.constraints,
            max_bytes=settings.MAX_UPLOAD_BYTES,
            max_pixels=settings.MAX_IMAGE_PIXELS,
        )
    except (Unsolvable, ImageError):
        pass
    else:
        text, answer, confidence = recognition.text, recognition.answer, recognition.confidence
    return ShadowReading(
        version_id=row.pk,
        reference=answered.reference,
        text=text,
        answer=answer,
        confidence=confidence,
        served_version=answered.model_version,
        served_text=answered.text,
        served_answer=answered.answer,
        agreed=answer == answered.answer,
    )


_shadow = Shadow()


def work_off() -> None:
    """Read and store all that waits in this process, in the calling thread."""
    _shadow.work_off()


def _forget() -> None:
    """A child process has a queue of its own; the parent's thread did not come along."""
    global _shadow
    _shadow = Shadow()


os.register_at_fork(after_in_child=_forget)
# A thread that is in ONNX Runtime while the interpreter ends could take the process down.
atexit.register(lambda: _shadow.stop())
