"""The storage of solves' images: private files, none written over, folders made as they are needed."""

import errno
import os
import stat
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from solving.storage import NewFiles


@pytest.fixture
def storage(tmp_path: Path) -> NewFiles:
    return NewFiles(tmp_path / "solved", file_permissions_mode=0o600, directory_permissions_mode=0o700)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_each_file_is_whole_and_private(storage: NewFiles, tmp_path: Path) -> None:
    for number in range(3):  # Django saves the first of a folder, and this storage those that follow
        content = bytes([number]) * 100_000
        assert storage.save(f"20260101T1020/{number}", ContentFile(content)) == f"20260101T1020/{number}"
        file = tmp_path / "solved" / "20260101T1020" / str(number)
        assert (file.read_bytes(), mode_of(file)) == (content, 0o600)
    assert mode_of(tmp_path / "solved") == mode_of(tmp_path / "solved" / "20260101T1020") == 0o700


def test_nothing_is_written_over(storage: NewFiles) -> None:
    first = storage.save("folder/1", ContentFile(b"first"))
    second = storage.save("folder/1", ContentFile(b"second"))
    assert first != second
    assert [Path(storage.path(name)).read_bytes() for name in (first, second)] == [b"first", b"second"]


def test_a_place_that_is_no_folder_is_an_error_of_the_system(storage: NewFiles, tmp_path: Path) -> None:
    (tmp_path / "solved").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="solved"):
        storage.save("folder/1", ContentFile(b"image"))


def test_no_half_of_an_image_stays_where_the_disk_is_full(
    storage: NewFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.save("folder/1", ContentFile(b"first"))
    written = os.write

    def write(file: int, content: bytes) -> int:
        if len(content) <= 50:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(file, content[:50])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space"):
        storage.save("folder/2", ContentFile(bytes(100)))
    assert storage.listdir("folder")[1] == ["1"]
