"""Images from folders, zips and tables: what is taken, what is listed, and that twice adds nothing."""

import errno
import io
import json
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from labeling import exporting, importing
from labeling.importing import Options, import_files, import_folder, import_zip
from labeling.models import Label, Sample
from labeling.tests.conftest import ALPHABET, drawn
from ml.models import CaptchaType
from ml.recognition.datasets import hash_bytes


def zipped(
    *files: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_DEFLATED
) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in files:
            archive.writestr(name, data)
    stream.seek(0)
    return stream


def stored_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.fixture
def other_type(db: None) -> CaptchaType:
    return CaptchaType.objects.create(slug="other-shop", title="Other", alphabet=ALPHABET + "/?=+_.")


def test_the_same_zip_twice_adds_nothing(captcha_type: CaptchaType, tmp_path: Path) -> None:
    archive = zipped(("a/AB.png", drawn()), ("a/AC__2.png", drawn()), ("AD.jpg", drawn(file_format="JPEG")))
    first = import_zip(captcha_type=captcha_type, archive=archive, options=Options(labelled=True))
    assert (first.added, first.duplicates, first.labelled, first.skipped) == (3, 0, 3, [])
    files = stored_files(tmp_path)
    second = import_zip(captcha_type=captcha_type, archive=archive, options=Options(labelled=True))
    assert (second.added, second.duplicates, second.labelled) == (0, 3, 0)
    assert stored_files(tmp_path) == files
    assert list(Sample.objects.values_list("duplicates", flat=True)) == [1, 1, 1]
    assert set(Label.objects.values_list("text", "mode")) == {(f"A{c}", "import") for c in "BCD"}


def test_the_same_image_may_belong_to_two_types(captcha_type: CaptchaType, other_type: CaptchaType) -> None:
    image = drawn()
    for one in (captcha_type, other_type):
        assert import_files(captcha_type=one, files=[("a.png", image)], options=Options()).added == 1


def test_hostile_archives_are_listed_and_nothing_else_is_touched(
    captcha_type: CaptchaType, tmp_path: Path
) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zipped(
        ("../escaped.png", drawn()),
        ("/absolute.png", drawn()),
        ("C:\\windows.png", drawn()),
        ("a/../../b.png", drawn()),
        (link, b"/etc/passwd"),
        ("inner.zip", zipped(("x.png", drawn())).getvalue()),
        ("bomb.png", bytes(50_000_000)),
        ("huge.png", _bomb()),
        ("empty.png", b""),
        ("notes.txt", b"no image"),
        ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("__MACOSX/._good.png", b"resource fork"),
        ("good.png", drawn()),
    )
    report = import_zip(captcha_type=captcha_type, archive=archive, options=Options())
    assert report.added == 1
    assert {name for name, _ in report.skipped} == {
        "../escaped.png", "/absolute.png", "C:\\windows.png", "a/../../b.png", "link.png", "inner.zip",
        "bomb.png", "huge.png", "empty.png", "notes.txt", "page.svg",
    }  # fmt: skip
    assert all(reason for _, reason in report.skipped)
    sample = Sample.objects.get()
    assert [path.name for path in stored_files(tmp_path)] == [f"{sample.sha256}.png"]
    assert not Path(settings.BASE_DIR / "escaped.png").exists()


def test_too_many_files_and_too_much_to_unpack_end_an_import(
    captcha_type: CaptchaType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MAX_FILES", 3)
    archive = zipped(*((f"{number}.png", drawn()) for number in range(5)))
    report = import_zip(captcha_type=captcha_type, archive=archive, options=Options())
    assert (report.added, report.skipped_count) == (3, 2)
    monkeypatch.setattr(importing, "MAX_UNPACKED", 1000)
    bombs = zipped(*((f"{number}.png", bytes(400_000)) for number in range(3)))
    report = import_zip(captcha_type=captcha_type, archive=bombs, options=Options())
    assert [reason.split(":")[0] for _, reason in report.skipped][1:] == [
        "the archive unpacks to more than 1,000 bytes"
    ] * 2


def test_a_large_archive_is_taken_in_over_several_calls(
    captcha_type: CaptchaType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "COMMIT_EACH", 2)
    archive = zipped(*((f"{number}.png", drawn()) for number in range(5)), ("../no.png", drawn()))
    moments = iter(range(100))
    monkeypatch.setattr("labeling.importing.time.monotonic", lambda: next(moments))
    start, reports = 0, list[importing.Report]()
    while not reports or start:
        options = Options(start=start, seconds=1)
        reports.append(import_zip(captcha_type=captcha_type, archive=archive, options=options))
        start = reports[-1].next_start
    assert [(one.added, one.left, one.skipped_count) for one in reports] == [(2, 3, 1), (2, 1, 0), (1, 0, 0)]


# Named by hand: a zip holds the time, and two processes must collect the same tests.
@pytest.mark.parametrize(
    "data",
    [b"", b"no zip", zipped(("a.png", b"x")).getvalue()[:-30]],
    ids=["empty", "no zip", "cut off"],
)
def test_what_is_no_zip_is_said(captcha_type: CaptchaType, data: bytes) -> None:
    report = import_zip(captcha_type=captcha_type, archive=io.BytesIO(data), options=Options())
    assert (report.added, report.skipped_count) == (0, 1)


def damaged(archive: io.BytesIO, name: str) -> io.BytesIO:
    """The zip with the compressed bytes of one file turned over."""
    data = bytearray(archive.getvalue())
    with zipfile.ZipFile(io.BytesIO(data)) as whole:
        info = whole.getinfo(name)
    start = info.header_offset + 30 + len(name)
    data[start : start + info.compress_size] = bytes(
        byte ^ 0xFF for byte in data[start : start + info.compress_size]
    )
    return io.BytesIO(data)


@pytest.mark.parametrize("name", ["labels.csv", "b.png"])
def test_a_damaged_file_of_a_zip_is_listed_and_the_others_are_taken(
    captcha_type: CaptchaType, name: str
) -> None:
    table = b"filename,label\n" + b"c.png,2KXQE\n" * 40
    archive = zipped(("a.png", drawn()), ("b.png", drawn()), ("labels.csv", table))
    report = import_zip(captcha_type=captcha_type, archive=damaged(archive, name), options=Options())
    assert name in dict(report.skipped)
    assert report.added == (2 if name == "labels.csv" else 1)


def test_a_full_disk_is_no_fault_of_the_zip(
    captcha_type: CaptchaType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("labeling.importing.add_image", full)
    with pytest.raises(OSError, match="No space left"):
        import_zip(captcha_type=captcha_type, archive=zipped(("a.png", drawn())), options=Options())
    assert not Sample.objects.exists()
    (tmp_path / "a.png").write_bytes(drawn())
    with pytest.raises(CommandError, match=r"stopped.*No space left"):
        call_command("import_images", captcha_type.slug, tmp_path)


def test_links_in_a_folder_are_not_followed(captcha_type: CaptchaType, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "AB.png").write_bytes(drawn())
    (folder / "link.png").symlink_to(folder / "below" / "AB.png")
    report = import_folder(captcha_type=captcha_type, folder=folder, options=Options())
    assert (report.added, [name for name, _ in report.skipped]) == (1, ["link.png"])


def test_a_label_that_breaks_the_rules_keeps_its_image_out(captcha_type: CaptchaType) -> None:
    files = [("TOOLONG.png", drawn()), ("A_B.png", drawn()), ("ab.png", drawn())]
    report = import_files(captcha_type=captcha_type, files=files, options=Options(labelled=True))
    assert (report.added, report.labelled, report.skipped_count) == (1, 1, 2)
    assert Label.objects.get().text == "AB"


def test_an_imported_label_of_a_test_image_counts_as_one_reading_unless_it_is_trusted(
    captcha_type: CaptchaType,
) -> None:
    table = ("labels.csv", b"filename,label,split\na.png,AB,test\nb.png,AC,train\n")
    files = [("a.png", drawn()), ("b.png", drawn()), table]
    import_files(captcha_type=captcha_type, files=files, options=Options())
    read = dict(Sample.objects.values_list("name", "status"))
    assert read == {"a.png": "open", "b.png": "agreed"}
    import_files(captcha_type=captcha_type, files=files, options=Options(trusted=True))
    assert set(Sample.objects.values_list("status", flat=True)) == {"agreed"}
    assert Sample.objects.get(name="a.png").trusted


def test_images_of_one_name_in_two_folders_keep_their_own_labels(captcha_type: CaptchaType) -> None:
    first, second, third = drawn(), drawn(), drawn()
    table = b"filename,label\none/1.png,AB\ntwo/1.png,AC\n/data/upload/7/other.png,AD\n"
    archive = zipped(
        ("all/one/1.png", first),
        ("all/two/1.png", second),
        ("all/other.png", third),
        ("all/labels.csv", table),
    )
    report = import_zip(captcha_type=captcha_type, archive=archive, options=Options(trusted=True))
    assert (report.added, report.labelled, report.skipped) == (3, 3, [])
    texts = dict(Sample.objects.values_list("sha256", "text"))
    assert [texts[hash_bytes(image)] for image in (first, second, third)] == ["AB", "AC", "AD"]


def test_a_table_may_come_after_its_images(captcha_type: CaptchaType) -> None:
    image = drawn()
    import_files(captcha_type=captcha_type, files=[("a.png", image)], options=Options())
    sample = Sample.objects.get()
    lines = [{"file_name": "a.png", "text": "AB"}, {"file_name": "gone.png", "text": "AC"}]
    table = "\n".join(json.dumps(line) for line in lines).encode()
    report = import_files(
        captcha_type=captcha_type, files=[("metadata.jsonl", table)], options=Options(trusted=True)
    )
    assert (report.labelled, [name for name, _ in report.skipped]) == (1, ["gone.png"])
    sample.refresh_from_db()
    assert sample.text == "AB"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("labels.csv", b"a,b\n1,2\n"),
        ("labels.csv", b"\xff\xfe"),
        ("labels.jsonl", b"{"),
        ("labels.jsonl", b"[1]"),
        ("labels.jsonl", b'{"filename": 3, "label": "A"}'),
        ("tasks.json", b"{}"),
        ("tasks.json", b'[{"data": 1}]'),
        ("tasks.json", b"[" * 100_000),
        ("rec_gt.txt", b"no tab\n"),
    ],
)
def test_a_table_that_cannot_be_read_is_listed(captcha_type: CaptchaType, name: str, data: bytes) -> None:
    report = import_files(captcha_type=captcha_type, files=[(name, data)], options=Options())
    assert report.skipped_count == 1
    assert name in report.skipped[0][1]


@pytest.mark.parametrize("slug", ["folder", "paddleocr", "huggingface", "label-studio"])
def test_what_is_exported_with_images_comes_back_whole(
    captcha_type: CaptchaType, other_type: CaptchaType, slug: str
) -> None:
    CaptchaType.objects.filter(pk=captcha_type.pk).update(alphabet=ALPHABET + "/?=+_.")
    captcha_type.refresh_from_db()
    texts = ["AB", "6/2=?", "A__B", ".AB", "AB", "1+1=?"]
    rows = "".join(f"{number}.png,{text}\n" for number, text in enumerate(texts))
    files = [(f"{number}.png", drawn()) for number in range(len(texts))]
    table = ("labels.csv", f"filename,label\n{rows}".encode())
    import_files(captcha_type=captcha_type, files=[*files, table], options=Options(trusted=True))
    stream = io.BytesIO()
    assert exporting.export(captcha_type=captcha_type, to=exporting.FORMATS[slug], stream=stream) == 6
    report = import_zip(captcha_type=other_type, archive=stream, options=Options(trusted=True))
    assert (report.added, report.labelled, report.skipped) == (6, 6, [])
    wanted = ["sha256", "text"] if slug == "paddleocr" else ["sha256", "text", "split"]
    assert contents(other_type, *wanted) == contents(captcha_type, *wanted)


@pytest.mark.parametrize("slug", ["csv", "jsonl"])
def test_a_table_alone_labels_the_same_images_elsewhere(
    captcha_type: CaptchaType, other_type: CaptchaType, slug: str
) -> None:
    files = [("AB.png", drawn()), ("AC.png", drawn()), ("AD.png", drawn())]
    import_files(captcha_type=captcha_type, files=files, options=Options(labelled=True, trusted=True))
    Sample.objects.filter(text="AD").update(status="unreadable", text="")
    import_files(captcha_type=other_type, files=files, options=Options())
    stream = io.BytesIO()
    exporting.export(captcha_type=captcha_type, to=exporting.FORMATS[slug], stream=stream)
    name = exporting.FORMATS[slug].table
    report = import_files(
        captcha_type=other_type, files=[(name, stream.getvalue())], options=Options(trusted=True)
    )
    assert (report.labelled, report.skipped) == (3, [])
    agreed = Sample.objects.filter(captcha_type=other_type, status="agreed")
    assert set(agreed.values_list("text", flat=True)) == {"AB", "AC"}


def test_the_exported_folder_is_named_as_the_training_reads_it(captcha_type: CaptchaType) -> None:
    import_files(
        captcha_type=captcha_type, files=[("AB.png", drawn())], options=Options(labelled=True, trusted=True)
    )
    stream = io.BytesIO()
    exporting.export(captcha_type=captcha_type, to=exporting.FORMATS["folder"], stream=stream)
    names = zipfile.ZipFile(stream).namelist()
    assert names == [f"AB__{Sample.objects.get().pk}.png", "labels.csv"]


def test_the_command_imports_a_folder_and_a_zip(
    captcha_type: CaptchaType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "AB.png").write_bytes(drawn())
    (folder / "note.txt").write_text("no image")
    call_command("import_images", "shop", str(folder), "--labelled", "--no-predictions")
    told = capsys.readouterr()
    assert told.out == "1 added, 0 known already, 1 labelled, 1 skipped\n"
    assert "note.txt" in told.err
    archive = tmp_path / "more.zip"
    archive.write_bytes(zipped(("AC.png", drawn())).getvalue())
    call_command("import_images", "shop", str(archive))
    assert capsys.readouterr().out.startswith("1 added, 0 known already, 0 labelled, 0 skipped\n")
    for wrong in (("nothing", str(folder)), ("shop", str(tmp_path / "nowhere"))):
        with pytest.raises(CommandError):
            call_command("import_images", *wrong)


def contents(captcha_type: CaptchaType, *names: str) -> set[Any]:
    return set(Sample.objects.filter(captcha_type=captcha_type).values_list(*names))


def _bomb(side: int = 30_000) -> bytes:
    """A few hundred bytes that unfold to `side` × `side` pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
