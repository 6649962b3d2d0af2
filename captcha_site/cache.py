"""Valkey or Redis as the cache that all processes share; where it does not answer, each counts by itself.

The cache holds counters of throttles and nothing that anybody would miss. So an outage of it stops no
request: limits then hold for each process alone, and the guard of log-ins, which counts in the database, as
ever.
"""

import json
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

PATIENCE = 0.5
"""Seconds that a request waits for the cache at most."""
REST = 5.0
"""Seconds for which a cache that did not answer is not asked again."""

_INCREASE = "if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('INCRBY', KEYS[1], ARGV[1]) end"


class Json:
    """In place of pickle: whoever can write to the cache must not be able to run code here."""

    def dumps(self, value: Any) -> Any:
        return value if type(value) is int else json.dumps(value)

    def loads(self, data: Any) -> Any:
        return json.loads(data)


class SharedClient(RedisCacheClient):
    def incr(self, key: str, delta: int) -> int:  # type: ignore[override]
        """Django makes two round trips, between which the key may expire and be made anew, for ever."""
        value = self.get_client(key, write=True).eval(_INCREASE, 1, key, delta)
        if value is None:
            raise ValueError(f"{key} is not there")
        return int(value)


class Client:
    """Each operation goes to the server, or to this process's own memory while there is none."""

    def __init__(self, servers: list[str], **options: Any) -> None:
        patience = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
        self.shared = SharedClient(servers, serializer=Json(), **(patience | options))
        self.local = LocMemCache("without-the-shared-cache", {"OPTIONS": {"MAX_ENTRIES": 100_000}})
        self.next_try = 0.0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._ask, name)

    def _ask(self, name: str, *arguments: Any) -> Any:
        if time.monotonic() >= self.next_try:
            try:
                return getattr(self.shared, name)(*arguments)
            except RedisError as error:
                self.next_try = time.monotonic() + REST
                logger.error("the shared cache does not answer, limits count by process: %s", error)
        return getattr(self.local, name)(*arguments)


class SharedCache(RedisCache):
    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = Client
