"""The files in which other tools keep labels: read and written, so that nothing is lost on the way.

CSV (``filename,label,split,status,sha256``), JSONL, Hugging Face's ``metadata.jsonl``, PaddleOCR's
``rec_gt.txt`` and Label Studio's JSON. A table names images by file name, by SHA-256 or by both.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

COLUMNS = ["filename", "label", "split", "status", "sha256"]
NAMES = ("filename", "file_name", "image", "path")
TEXTS = ("label", "text", "transcription")
CONTROL = "text"
"""Name of the text area in Label Studio's labelling configuration."""


class TableError(ValueError):
    """The table cannot be read; the message says where and why."""


@dataclass(frozen=True)
class Row:
    """What a table says about one image; `status` is empty where it only gives texts."""

    filename: str
    text: str
    split: str = ""
    status: str = ""
    sha256: str = ""

    @property
    def basename(self) -> str:
        return PurePosixPath(self.filename.replace("\\", "/")).name


def is_table(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in (".csv", ".jsonl", ".json") or name.endswith("rec_gt.txt")


def parse(name: str, data: bytes) -> list[Row]:
    """The rows of a table, its format told by its name.

    Raises:
        TableError
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"{name} is not UTF-8 text") from error
    suffix = PurePosixPath(name).suffix.lower()
    try:
        if suffix == ".csv":
            return list(_csv_rows(name, text))
        if suffix == ".jsonl":
            return [_row(name, number, json.loads(line)) for number, line in _lines(text)]
        if suffix == ".json":
            return list(_label_studio_rows(name, json.loads(text)))
        return [_paddle_row(name, number, line) for number, line in _lines(text)]
    except (csv.Error, ValueError, RecursionError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(f"{name} cannot be read: {error}") from error


def write(name: str, rows: Iterable[Row]) -> bytes:
    """The table of that name: labels.csv, labels.jsonl, metadata.jsonl, rec_gt.txt or label_studio.json."""
    writers = {
        "labels.csv": _as_csv,
        "labels.jsonl": lambda rows: _as_jsonl(rows, "filename", "label"),
        "metadata.jsonl": lambda rows: _as_jsonl(rows, "file_name", "text"),
        "rec_gt.txt": lambda rows: "".join(f"{row.filename}\t{row.text}\n" for row in rows),
        "label_studio.json": _as_label_studio,
    }
    return writers[name](rows).encode()


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines(): a label may hold what Unicode takes for the end of a line.
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if line.strip():
            yield number, line


def _csv_rows(name: str, text: str) -> Iterator[Row]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    columns = set(rows.fieldnames or ())
    if not columns & {*NAMES, "sha256"} or not columns & set(TEXTS):
        raise TableError(f"{name}: the first line must name the columns filename (or sha256) and label")
    for row in rows:
        yield _row(name, rows.line_num, row)


def _row(name: str, number: int, given: Any) -> Row:
    if not isinstance(given, Mapping):
        raise TableError(f"{name}, line {number}: not an object")

    def value(*keys: str) -> str:
        found = next((given[key] for key in keys if given.get(key) is not None), "")
        if not isinstance(found, str):
            raise TableError(f"{name}, line {number}: {keys[0]} must be a text")
        return found

    row = Row(value(*NAMES), value(*TEXTS), value("split"), value("status"), value("sha256").lower())
    if not row.filename and not row.sha256:
        raise TableError(f"{name}, line {number}: names no image")
    return row


def _paddle_row(name: str, number: int, line: str) -> Row:
    filename, tab, text = line.partition("\t")
    if not tab:
        raise TableError(f"{name}, line {number}: expected an image, a tab and its text")
    return Row(filename, text)


def _label_studio_rows(name: str, tasks: Any) -> Iterator[Row]:
    if not isinstance(tasks, list):
        raise TableError(f"{name}: not Label Studio's list of tasks")
    for number, task in enumerate(tasks, start=1):
        if not isinstance(task, Mapping) or not isinstance(task.get("data"), Mapping):
            raise TableError(f"{name}, task {number}: has no data")
        data = task["data"]
        image = next((data[key] for key in ("image", "captcha", "ocr") if isinstance(data.get(key), str)), "")
        row = _row(name, number, {**data, "image": image, "label": _label_studio_text(task)})
        yield row


def _label_studio_text(task: Mapping[str, Any]) -> str:
    """The text of the task's last annotation that was not cancelled; empty when there is none."""
    text = ""
    for annotation in task.get("annotations") or task.get("completions") or []:
        if not isinstance(annotation, Mapping) or annotation.get("was_cancelled"):
            continue
        for result in annotation.get("result") or []:
            value = result.get("value", {}).get("text") if isinstance(result, Mapping) else None
            texts = [value] if isinstance(value, str) else value
            if isinstance(texts, list) and texts and isinstance(texts[0], str):
                text = texts[0]
    return text


def _as_csv(rows: Iterable[Row]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([row.filename, row.text, row.split, row.status, row.sha256])
    return stream.getvalue()


def _as_jsonl(rows: Iterable[Row], filename: str, text: str) -> str:
    lines = (
        {
            filename: row.filename,
            text: row.text,
            "split": row.split,
            "status": row.status,
            "sha256": row.sha256,
        }
        for row in rows
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _as_label_studio(rows: Iterable[Row]) -> str:
    tasks = [
        {
            "id": number,
            "data": {
                "image": row.filename,
                "split": row.split,
                "status": row.status,
                "sha256": row.sha256,
            },
            "annotations": [
                {
                    "result": [
                        {
                            "from_name": CONTROL,
                            "to_name": "image",
                            "type": "textarea",
                            "value": {"text": [row.text]},
                        }
                    ]
                }
            ]
            if row.text
            else [],
        }
        for number, row in enumerate(rows, start=1)
    ]
    return json.dumps(tasks, ensure_ascii=False, indent=1)
