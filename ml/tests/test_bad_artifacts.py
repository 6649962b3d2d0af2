"""Whatever is wrong with a model's files, it never loads, and the old one keeps serving."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ml import registry
from ml.models import ModelVersion
from ml.recognition.artifacts import ArtifactError, write_checksums
from ml.services import CannotPromote, CannotRegister, install_shipped_models, promote, register_version
from ml.tests.artifacts import LETTERS, picture, write_reader, write_types
from ml.tests.conftest import Clock, Roots

DARK = picture(0)


def read() -> str:
    return registry.recognizer().recognize(DARK).text


def rewrite_spec(folder: Path, old: str, new: str) -> None:
    """Change the spec, with checksums that fit: as somebody would who may write in the folder."""
    spec = folder / "spec.json"
    text = spec.read_text(encoding="utf-8")
    assert old in text
    spec.write_text(text.replace(old, new), encoding="utf-8")
    write_checksums(folder)


def flip_a_byte(folder: Path) -> None:
    file = folder / "reader.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(bytes(data))


def replace_by_another_model(folder: Path) -> None:
    write_reader(folder.parents[1], "dark", 1001, text="FORGED")


def permute_the_alphabet(folder: Path) -> None:
    rewrite_spec(folder, LETTERS, LETTERS[::-1])


def shorten_the_alphabet(folder: Path) -> None:
    rewrite_spec(folder, LETTERS, LETTERS[:-1])


def put_no_onnx(folder: Path) -> None:
    (folder / "reader.onnx").write_bytes(b"this is no network")
    write_checksums(folder)


def link_the_file(folder: Path) -> None:
    file = folder / "reader.onnx"
    elsewhere = folder.parents[2] / "elsewhere.onnx"
    shutil.move(file, elsewhere)
    file.symlink_to(elsewhere)


def link_the_folder(folder: Path) -> None:
    elsewhere = folder.parents[2] / "elsewhere"
    shutil.move(folder, elsewhere)
    folder.symlink_to(elsewhere)


def delete_the_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def delete_the_checksums(folder: Path) -> None:
    (folder / "SHA256SUMS").unlink()


def put_a_folder_in_its_place(folder: Path) -> None:
    """The file is there and cannot be read, by root either, whom a closed folder would not stop."""
    (folder / "reader.onnx").unlink()
    (folder / "reader.onnx").mkdir()


DAMAGES: list[Callable[[Path], None]] = [
    flip_a_byte,
    replace_by_another_model,
    permute_the_alphabet,
    shorten_the_alphabet,
    put_no_onnx,
    link_the_file,
    link_the_folder,
    delete_the_folder,
    delete_the_checksums,
    put_a_folder_in_its_place,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_happens_to_the_files_after_registration_never_reaches_an_answer(
    shipped: Roots, clock: Clock, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(registry, "_registry", registry.Registry(clock))
    assert read() == "2KXQE"
    version = register_version(folder=write_reader(shipped.trained, "dark", 1001, text="HONEST"))
    damage(version.path)
    with pytest.raises(CannotPromote) as refused:
        promote(version=version, reason="hope", force=True)
    assert not refused.value.forceable
    version.refresh_from_db()
    assert (version.state, "does not load" in version.load_error) == ("candidate", True)

    # The same when it was let serve while it was whole.
    ModelVersion.objects.filter(slug="dark", version=1).update(
        state="retired", promoted_at="2026-01-01T00:00Z"
    )
    ModelVersion.objects.filter(pk=version.pk).update(state="serving", load_error="")
    clock.now += registry.CHECK_SECONDS
    assert read() == "2KXQE"
    version.refresh_from_db()
    assert "dark/1001 cannot be loaded" in version.load_error
    readiness = registry.ready()
    assert readiness.ready
    assert readiness.problems == [version.load_error]
    registry.reset()  # a process that starts now
    assert read() == "2KXQE"


def test_a_file_above_the_limit_is_neither_registered_nor_loaded(shipped: Roots, settings: Any) -> None:
    folder = write_reader(shipped.trained, "dark", 1001)
    version = register_version(folder=folder)
    settings.MAX_MODEL_BYTES = (folder / "reader.onnx").stat().st_size - 1
    with pytest.raises(ArtifactError, match="larger than"):
        registry.open_model(version)
    with pytest.raises(CannotRegister, match="larger than"):
        register_version(folder=write_reader(shipped.trained, "dark", 1002))


@pytest.mark.parametrize("kind", ["reader", "types"])
def test_a_network_that_hides_how_many_classes_it_gives_is_found_out(shipped: Roots, kind: str) -> None:
    """Its output's last dimension has no number, so that only a run tells."""
    if kind == "reader":
        folder = write_reader(shipped.trained, "dark", 1001)
        rewrite_spec(folder, LETTERS, LETTERS + "!")
    else:
        folder = write_types(shipped.trained, 1001, labels=("dark", "bright", "third", "other"))
        rewrite_spec(folder, '"third"', '"third", "fourth"')
    version = register_version(folder=folder)
    with pytest.raises(ArtifactError, match="its spec names"):
        registry.open_model(version)


def test_a_network_that_fails_at_its_first_run_is_found_out(shipped: Roots) -> None:
    folder = write_reader(shipped.trained, "dark", 1001)
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["pixels", "shape"], ["logits"]),  # never so many pixels
    ]
    graph = helper.make_graph(
        nodes,
        "fails",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", "height", "width", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", "frames", "classes"])],
        [onnx.numpy_helper.from_array(np.array([1, 7, len(LETTERS) + 1], np.int64), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (folder / "reader.onnx").write_bytes(model.SerializeToString())
    write_checksums(folder)
    version = register_version(folder=folder)
    with pytest.raises(ArtifactError, match="does not run"):
        registry.open_model(version)


def test_a_version_registered_before_specs_were_kept_is_brought_up_to_date(shipped: Roots) -> None:
    folder = write_reader(shipped.trained, "dark", 1001)
    version = register_version(folder=folder)
    kept = version.spec_sha256
    assert len(kept) == 64
    ModelVersion.objects.update(spec_sha256="")
    registry.open_model(ModelVersion.objects.get(pk=version.pk))
    assert not install_shipped_models().registered
    register_version(folder=folder)
    version.refresh_from_db()
    assert version.spec_sha256 == kept
    assert not ModelVersion.objects.filter(spec_sha256="").exists()
