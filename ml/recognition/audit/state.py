"""Results that are kept while a long run goes on: each file is there whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Results:
    """JSON values by name, in a folder of its own below `root` for each `key`.

    The key holds everything that a result depends on; another key finds nothing of this one.
    """

    def __init__(self, root: Path, key: Mapping[str, Any]) -> None:
        text = json.dumps(key, sort_keys=True, ensure_ascii=False, default=str)
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:16]
        self._key = text

    def prepare(self) -> None:
        """Make the folder. Raises OSError where nothing can be written, before any work is done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "key.json").exists():
            write_whole(self.folder / "key.json", self._key + "\n")

    def get(self, name: str) -> Any:
        """The value kept under `name`; None where there is none, or none that can be read."""
        try:
            return json.loads(self._file(name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def put(self, name: str, value: Any) -> None:
        """Keep a value. Raises OSError, as on a full disk; then the one before stays."""
        self.prepare()
        write_whole(self._file(name), json.dumps(value, ensure_ascii=False) + "\n")

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A path for a folder that is written now and deleted at the end, however that comes."""
        folder = self.folder / f"training-{os.getpid()}.partial"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def write_whole(path: Path, text: str) -> None:
    """Write a file in one step: whoever opens it sees the old text or the new one.

    Raises OSError; then nothing is left behind.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
