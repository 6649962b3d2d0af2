"""Answers sent to a URL of the caller's: an outbox, written with the charge, and what empties it.

A callback is a row of the transaction that charges, so that neither is without the other. It is sent at
least once: signed, two seconds for each step, never to an address inside (`jobs.addresses`), redirects not
followed, and tried again with growing pauses. `deliver_due` may run in any number of processes.
"""

import hashlib
import hmac
import http.client
import logging
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from jobs.addresses import is_public, resolve_public
from solving.models import Callback

logger = logging.getLogger(__name__)

SIGNATURE = "X-Captcha-Signature"
STEP_SECONDS = 2.0
"""For connecting, and for each wait for the receiver."""
WHOLE_SECONDS = 5.0
"""For all of it: a receiver that sends a byte now and then holds nobody up."""
PAUSES = (10, 60, 300, 1800, 7200, 21600)
"""Seconds until the next attempt; after the last of them a callback is given up."""
LEASE = timedelta(seconds=60)
"""How long a claimed callback is left to its deliverer; one whose deliverer died is due again then."""
KEPT = timedelta(days=7)
"""How long what is done with can be looked at."""
AT_ONCE = 16
_LONGEST_URL = 2000
_LOOK_AGAIN = 60.0
_SWEEP_SIZE = 500

State = Callback.State


class UrlRefused(Exception):
    """Nothing will be sent there; the text says why."""


class NotDelivered(Exception):
    """`final`: no further attempt could end otherwise."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


def check_url(url: str) -> str:
    """The URL, if a callback may be sent there as far as can be told without asking for its address.

    Raises UrlRefused.
    """
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise UrlRefused(f"a callback's URL has at most {_LONGEST_URL} visible ASCII characters")
    try:
        parts = urlsplit(url)
        host, _ = _host_and_port(parts)
    except ValueError as error:
        raise UrlRefused(f"the callback's URL cannot be read: {error}") from error
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise UrlRefused("a callback's URL begins with http:// or https:// and a host's name")
    if _is_address(host) and not is_public(host) and not _is_allowed(parts):
        raise UrlRefused("the callback's address is not public")
    return url


def enqueue(*, user_id: int, digest: str, url: str, body: bytes, content_type: str) -> None:
    """Put a callback into the outbox; to be called in the transaction that charges.

    `digest` is the API key's (`api_keys.digest_of`): who knows the key can check the signature.
    """
    Callback.objects.create(
        user_id=user_id, digest=digest, url=url, body=body, content_type=content_type, due=timezone.now()
    )
    if settings.CALLBACKS_AT_ONCE:
        transaction.on_commit(_nudge)


def deliver_due() -> Counter[str]:
    """Send everything that is due; how many callbacks came into which state."""
    counted: Counter[str] = Counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while claimed := _claim():
            for callback, failure in zip(claimed, pool.map(_attempt, claimed), strict=True):
                counted[_record(callback, failure)] += 1
    done = Callback.objects.exclude(state=State.WAITING).filter(due__lt=timezone.now() - KEPT)
    Callback.objects.filter(pk__in=list(done.values_list("pk", flat=True)[:_SWEEP_SIZE])).delete()
    return counted


def signature(digest: str, timestamp: int, body: bytes) -> str:
    """The header's value: ``t=SECONDS,v1=HMAC-SHA256``, keyed by the hexadecimal SHA-256 of the API key."""
    mac = hmac.new(digest.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


def _claim() -> Sequence[Callback]:
    """Callbacks that are due and nobody else's now: whoever moves `due` first has one."""
    now = timezone.now()
    due = Callback.objects.filter(state=State.WAITING, due__lte=now).order_by("due")[:AT_ONCE]
    return [
        callback
        for callback in due
        if Callback.objects.filter(pk=callback.pk, state=State.WAITING, due=callback.due).update(
            due=now + LEASE
        )
    ]


def _attempt(callback: Callback) -> NotDelivered | None:
    """Send once, without the database: it runs in a thread of the pool."""
    try:
        _post(callback)
    except NotDelivered as failure:
        return failure
    except (OSError, http.client.HTTPException, ValueError) as error:
        return NotDelivered(f"{type(error).__name__}: {error}")
    return None


def _record(callback: Callback, failure: NotDelivered | None) -> str:
    attempts = callback.attempts + 1
    now = timezone.now()
    if failure is None:
        state, due = State.DELIVERED, now
    elif failure.final or attempts > len(PAUSES):
        state, due = State.GIVEN_UP, now
    else:
        state, due = State.WAITING, now + timedelta(seconds=PAUSES[attempts - 1])
    Callback.objects.filter(pk=callback.pk).update(
        state=state, due=due, attempts=attempts, error=str(failure or "")[:200]
    )
    return state


def _post(callback: Callback) -> None:
    """Raises NotDelivered, and whatever a connection raises."""
    parts = urlsplit(callback.url)
    host, port = _host_and_port(parts)
    # It goes to one of these, whatever the name says a moment later.
    addresses = [host] if _is_allowed(parts) else resolve_public(host)
    if not addresses:
        raise NotDelivered("the name has no address, or one that is not public")
    body = bytes(callback.body)
    headers = {
        "Host": parts.netloc,
        "Content-Type": callback.content_type,
        "User-Agent": "captcha-solving-service",
        SIGNATURE: signature(callback.digest, int(time.time()), body),
    }
    made = _Connection(_Target(addresses[0], port, host if parts.scheme == "https" else None))
    try:
        made.connect()
        with made.ended_in_time():
            made.request("POST", urlunsplit(("", "", parts.path or "/", parts.query, "")), body, headers)
            status = made.getresponse().status
    finally:
        made.close()
    if not 200 <= status < 300:
        raise NotDelivered(f"the receiver answered {status}", final=status == 410)


@dataclass(frozen=True)
class _Target:
    """An address to connect to, and the name that its certificate must be for, if it needs one."""

    address: str
    port: int
    certified: str | None


class _Connection(http.client.HTTPConnection):
    """To an address that was looked up before, with the certificate checked against the name."""

    def __init__(self, target: _Target) -> None:
        super().__init__(target.address, target.port, timeout=STEP_SECONDS)
        self.target = target

    def connect(self) -> None:
        self.sock = socket.create_connection((self.target.address, self.target.port), STEP_SECONDS)
        if self.target.certified is not None:
            self.sock = _tls().wrap_socket(self.sock, server_hostname=self.target.certified)

    def ended_in_time(self) -> "_Deadline":
        return _Deadline(self.sock)


class _Deadline:
    """Shuts a socket down when its time is over."""

    def __init__(self, sock: socket.socket) -> None:
        self._timer = threading.Timer(WHOLE_SECONDS, self._end, [sock])
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()

    @staticmethod
    def _end(sock: socket.socket) -> None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended by itself
            return


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _host_and_port(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _is_allowed(parts: SplitResult) -> bool:
    """Whether the operator opened this very host and port: HOST or HOST:PORT."""
    host, port = _host_and_port(parts)
    return bool({host, f"{host}:{port}"} & set(settings.CALLBACK_ALLOWED_HOSTS))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _Nudge:
    """A thread of this process that delivers once a callback was committed: nobody waits for the schedule."""

    def __init__(self) -> None:
        self._due = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        self._due.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # a fork leaves threads behind
                self._thread = threading.Thread(target=self._run, name="callbacks", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._due.wait(timeout=_LOOK_AGAIN)  # for those that failed and are due again
            self._due.clear()
            try:
                deliver_due()
            except Exception:
                logger.exception("callbacks were not delivered; the schedule will")
            finally:
                connection.close()


_nudge = _Nudge()
