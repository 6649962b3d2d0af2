"""The cache that all processes share, on a real Valkey or Redis: what it counts, and what when it is gone."""

import pickle
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.core.cache.backends.base import BaseCache

from bench.replicas import valkey
from captcha_site import cache as shared
from captcha_site.cache import SharedCache

pytestmark = pytest.mark.library


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ExitStack]:
    """A server; closing the stack stops it. `url` is where it is."""
    with ExitStack() as stack:
        stack.url = stack.enter_context(valkey(tmp_path))  # type: ignore[attr-defined]
        yield stack


def process(server: ExitStack) -> BaseCache:
    """The cache as another process has it."""
    return SharedCache(server.url, {})  # type: ignore[attr-defined]


def test_processes_count_together(server: ExitStack) -> None:
    one, other = process(server), process(server)
    assert one.add("k", 1, 60)
    assert not other.add("k", 1, 60)
    assert other.incr("k", 2) == 3
    assert one.get("k") == 3
    with pytest.raises(ValueError, match="not there"):
        one.incr("nothing")


def test_no_count_is_lost_between_threads(server: ExitStack) -> None:
    cache = process(server)
    cache.set("k", 0, 60)
    threads = [threading.Thread(target=lambda: [cache.incr("k") for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("k") == 400


def test_what_is_kept_comes_back_as_it_was(server: ExitStack) -> None:
    cache = process(server)
    for value in (0, -7, True, None, 1.5, "text", [1.25, 2.5], {"a": ["b"]}):
        cache.set("k", value, 60)
        assert cache.get("k", "missing") == value
        assert type(cache.get("k", "missing")) is type(value)
    cache.set_many({"a": 1, "b": "two"}, 60)
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": "two"}
    cache.delete_many(["a", "b"])
    assert not cache.has_key("a")
    assert cache.touch("k", 60)
    assert cache.delete("k")
    cache.clear()


def test_a_pickle_that_somebody_put_there_is_not_opened(server: ExitStack) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(Path("harm-was-done")),)

    cache = process(server)
    cache._cache.shared.get_client("k", write=True).set(cache.make_key("k"), pickle.dumps(Harmful()))  # type: ignore[attr-defined]
    with pytest.raises(ValueError):  # noqa: PT011 (of JSON or of its encoding)
        cache.get("k")
    assert not Path("harm-was-done").exists()


def test_it_counts_on_while_the_server_is_gone_and_together_again_after(
    server: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = process(server), process(server)
    one.set("k", 5, 60)
    url = server.url  # type: ignore[attr-defined]
    server.close()
    assert one.add("k", 1, 60)
    assert one.incr("k") == 2
    with valkey(tmp_path, port=int(url.rpartition(":")[2].partition("/")[0])):
        assert one.incr("k") == 3  # it is not asked again at once
        monkeypatch.setattr(one._cache, "next_try", 0.0)  # type: ignore[attr-defined]
        monkeypatch.setattr(other._cache, "next_try", 0.0)  # type: ignore[attr-defined]
        assert one.add("k", 1, 60)
        assert other.incr("k") == 2
    assert shared.REST > shared.PATIENCE
