"""The commands, run as an operator runs them."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ml.models import ModelVersion
from ml.recognition.artifacts import write_checksums
from ml.recognition.datasets import hash_bytes
from ml.services import promote, register_version
from ml.tests.artifacts import picture, write_reader, write_types
from ml.tests.conftest import Roots, better, evaluated


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command(*words)
    return capsys.readouterr().out


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Five dark images: three that the tiny reader reads right, one wrong, one no image at all."""
    folder = tmp_path / "dark"
    folder.mkdir()
    for index, name in enumerate(("2KXQE.png", "2KXQE__2.png", "2KXQE__3.png", "2KXQB.png")):
        (folder / name).write_bytes(picture(index))
    (folder / "BROKE.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


class TestInstallModels:
    def test_says_what_serves(self, roots: Roots, db: None, capsys: pytest.CaptureFixture[str]) -> None:
        write_reader(roots.shipped, "dark")
        assert "dark/1 serves" in run(capsys, "install_models")
        assert "0 models registered, 1 as before" in run(capsys, "install_models")

    def test_fails_when_nothing_can_be_read(self, roots: Roots, db: None) -> None:
        with pytest.raises(CommandError, match="No reader serves"):
            call_command("install_models")

    def test_a_damaged_model_does_not_stop_the_start(
        self, shipped: Roots, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (write_reader(shipped.shipped, "dark", 2) / "spec.json").write_text("{")
        call_command("install_models")
        assert "dark/2" in capsys.readouterr().err


class TestModels:
    def test_lists_states_and_accuracy(
        self, private_reader: ModelVersion, capsys: pytest.CaptureFixture[str]
    ) -> None:
        register_version(folder=write_reader(private_reader.path.parent.parent, "dark", 1001))
        ModelVersion.objects.filter(slug="general").update(load_error="it is damaged")
        lines = {line.split()[0]: line for line in run(capsys, "models").splitlines()}
        assert "serving" in lines["dark/1"]
        assert "99.0 % (96.4 % to 99.7 %, n = 200)" in lines["dark/1"]
        assert "candidate" in lines["dark/1001"]
        assert "private to owner" in lines["mine/1"]
        assert "it is damaged" in lines["general/1"]

    def test_an_empty_registry_says_what_to_type(self, db: None, capsys: pytest.CaptureFixture[str]) -> None:
        assert "install_models" in run(capsys, "models")


class TestPromote:
    def test_promotes_and_rolls_back(self, shipped: Roots, capsys: pytest.CaptureFixture[str]) -> None:
        better(write_reader(shipped.trained, "dark", 1001))
        out = run(capsys, "promote", "dark", "1001", "--reason", "better").splitlines()
        assert out[0] == "dark/1001 serves"
        assert "91 of 100" in out[1]
        assert run(capsys, "roll_back", "dark") == "dark/1 serves again\n"

    def test_names_what_there_is_not(self, shipped: Roots) -> None:
        with pytest.raises(CommandError, match="no dark/7"):
            call_command("promote", "dark", "7")
        with pytest.raises(CommandError, match="nothing served as dark before"):
            call_command("roll_back", "dark")

    def test_says_when_force_would_do(self, shipped: Roots, capsys: pytest.CaptureFixture[str]) -> None:
        register_version(folder=write_reader(shipped.trained, "third", metrics={}))
        with pytest.raises(CommandError, match=r"third/1 was never evaluated.*--force"):
            call_command("promote", "third", "1")
        with pytest.raises(CommandError, match="--force needs a --reason"):
            call_command("promote", "third", "1", "--force")
        out = run(capsys, "promote", "third", "1", "--force", "--reason", "by hint only")
        assert out.startswith("third/1 serves\n")
        assert "overruled: third/1 was never evaluated" in out

    def test_notes_that_callers_must_name_a_new_type(
        self, shipped: Roots, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for number in (1, 2):
            version = register_version(folder=write_reader(shipped.trained, "third", number))
            evaluated(version, 90 + number)
            out = run(capsys, "promote", "third", str(number))
            assert out.startswith(f"third/{number} serves\n")
            assert "note: no type model knows third: it reads only where a caller names the type" in out

    def test_does_not_offer_force_for_a_damaged_model(self, shipped: Roots) -> None:
        folder = write_reader(shipped.trained, "dark", 1001)
        better(folder)
        (folder / "reader.onnx").write_bytes(b"")
        with pytest.raises(CommandError) as refused:
            call_command("promote", "dark", "1001")
        assert "--force" not in str(refused.value)


class TestRegisterModel:
    def test_an_artifact_from_elsewhere_becomes_a_candidate(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = run(capsys, "register_model", str(write_reader(shipped.trained, "dark", 1001)))
        assert out == "dark/1001 is candidate, exact match 99.0 % (96.4 % to 99.7 %, n = 200)\n"
        with pytest.raises(CommandError, match="below neither"):
            call_command("register_model", str(write_reader(tmp_path / "elsewhere", "dark", 1002)))


class TestSolve:
    def test_prints_answer_type_and_confidence(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "sum.png"
        file.write_bytes(picture(255))
        assert run(capsys, "solve", str(file)) == f"{file}: 35  (bright, confidence 1.000)\n"

    def test_json_has_everything(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "dark.png"
        file.write_bytes(picture(0))
        result = json.loads(run(capsys, "solve", "--json", str(file)))
        assert (result["text"], result["captcha_type"], result["model_version"]) == (
            "2KXQE",
            "dark",
            "dark/1",
        )
        assert [c["char"] for c in result["characters"]] == list("2KXQE")

    def test_says_of_each_image_why_it_was_not_read(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        good, bad = tmp_path / "good.png", tmp_path / "bad.png"
        good.write_bytes(picture(0))
        bad.write_bytes(b"no image")
        with pytest.raises(CommandError, match="2 of 3"):
            call_command("solve", str(bad), str(good), str(tmp_path / "missing.png"))
        out, err = capsys.readouterr()
        assert "2KXQE" in out
        assert "bad.png" in err
        assert "missing.png" in err

    def test_private_types_are_read_for_their_owner(
        self, private_reader: ModelVersion, outsider: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "dark.png"
        file.write_bytes(picture(0))
        assert "SECRET" in run(capsys, "solve", str(file), "--type", "mine", "--user", "owner")
        with pytest.raises(CommandError):
            call_command("solve", str(file), "--type", "mine", "--user", "outsider")
        with pytest.raises(CommandError, match="no user nobody"):
            call_command("solve", str(file), "--user", "nobody")


class TestEvaluate:
    def test_failures_count_as_wrong(
        self, shipped: Roots, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "figures.json"
        out = run(capsys, "evaluate", "dark", "--images", str(images), "--json", str(file))
        assert "dark/1 on dark: 5 images; 0 left out" in out
        assert "60.00 % (3 of 5, 95 % interval 23.07 to 88.24)" in out
        figures = json.loads(file.read_text())["folders"]["dark"]
        assert figures["exact_match"]["correct"] == 3
        assert figures["failures"] == 1
        assert {(c["truth"], c["read"]) for c in figures["confusions"]} == {("B", "E")}
        assert {wrong["image"] for wrong in figures["wrong"]} == {"2KXQB.png", "BROKE.png"}

    def test_images_it_was_trained_on_are_left_out(
        self, shipped: Roots, images: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = write_reader(shipped.trained, "dark", 1001)
        seen = hash_bytes((images / "2KXQE.png").read_bytes())
        (folder / "trained_on.txt").write_text(f"{seen}\n")
        write_checksums(folder)
        register_version(folder=folder)
        out = run(capsys, "evaluate", "dark", "--version", "1001", "--images", str(images))
        assert "dark/1001 on dark: 4 images; 1 left out, it or dark/1 was trained on them" in out
        assert "2 of 4" in out

    def test_case_is_counted_both_ways(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "mixed"
        folder.mkdir()
        (folder / "General.png").write_bytes(picture(128))
        out = run(capsys, "evaluate", "general", "--images", str(folder))
        assert "exact match              0.00 % (0 of 1" in out
        assert "exact match, any case    100.00 % (1 of 1" in out

    def test_sums_are_judged_by_their_value(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "sums"
        folder.mkdir()
        for index, label in enumerate(("33+2=?", "33+2", "33+3=?")):
            (folder / f"{label}.png").write_bytes(picture(250 + index))
        out = run(capsys, "evaluate", "bright", "--images", str(folder))
        assert "exact match              33.33 % (1 of 3" in out
        assert "value right              66.67 % (2 of 3" in out

    def test_hints_are_constraints(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "short"
        folder.mkdir()
        (folder / "GENE.png").write_bytes(picture(128))
        run(capsys, "evaluate", "general", "--images", str(folder), "--json", str(tmp_path / "without.json"))
        hinted = tmp_path / "with.json"
        run(capsys, "evaluate", "general", "--images", str(folder), "--hints", "--json", str(hinted))
        without = json.loads((tmp_path / "without.json").read_text())["folders"]["short"]
        assert without["wrong"][0]["read"] == "GENERAL"
        with_hints = json.loads(hinted.read_text())["folders"]["short"]
        assert with_hints["hints"] == "length 4, the alphabet given"
        assert all(len(wrong["read"] or "GENE") == 4 for wrong in with_hints["wrong"])

    def test_type_decisions_by_folder(
        self, shipped: Roots, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bright, elsewhere = tmp_path / "bright", tmp_path / "amazon"
        bright.mkdir()
        elsewhere.mkdir()
        (bright / "1+1.png").write_bytes(picture(255))
        (bright / "1+2.png").write_bytes(picture(0))
        (elsewhere / "AB.png").write_bytes(picture(128))
        out = run(capsys, "evaluate", "types", "--images", str(images), str(bright), str(elsewhere))
        assert "dark is dark: right 80.00 % (4 of 5" in out
        assert "bright is bright: right 50.00 % (1 of 2" in out
        assert "amazon is other: right 100.00 % (1 of 1" in out
        assert "type decision            75.00 % (6 of 8" in out

    def test_rejection_counts_who_is_fooled(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "rejection.json"
        out = run(capsys, "evaluate", "types", "--rejection", "--n", "40", "--json", str(file))
        rejection = json.loads(file.read_text())["rejection"]
        assert sum(kind["n"] for kind in rejection["kinds"].values()) == 40
        assert rejection["kinds"]["other captcha"]["n"] == 12
        # The tiny general reader answers whatever it is shown, the tiny type model goes by brightness.
        assert rejection["no_captcha_answered"]["correct"] == rejection["no_captcha_answered"]["n"] == 28
        assert 0 < rejection["taken_for_a_type"]["correct"] < 40
        assert "no captcha, yet answered 100.00 % (28 of 28" in out
        again = tmp_path / "again.json"
        run(capsys, "evaluate", "types", "--rejection", "--n", "40", "--json", str(again))
        assert json.loads(again.read_text())["rejection"] == rejection

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["dark"], "Nothing to measure"),
            (["nothing", "--images", "."], "no serving version of nothing"),
            (["dark", "--version", "9", "--images", "."], "no dark/9"),
            (["dark", "--images", "no_such_folder"], "is not a folder"),
        ],
    )
    def test_complaints_are_plain(self, shipped: Roots, words: list[str], complaint: str) -> None:
        with pytest.raises(CommandError, match=complaint):
            call_command("evaluate", *words)

    def test_a_candidate_type_model_is_measured_by_version(
        self, shipped: Roots, images: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        register_version(folder=write_types(shipped.trained, 1001, labels=("bright", "dark", "other")))
        out = run(capsys, "evaluate", "types", "--version", "1001", "--images", str(images))
        assert "types/1001 on dark" in out
        assert "dark is dark: right 0.00 %" in out


def test_promotion_by_command_is_logged(shipped: Roots, caplog: pytest.LogCaptureFixture) -> None:
    version = better(write_reader(shipped.trained, "dark", 1001))
    with caplog.at_level(logging.INFO):
        promote(version=version, reason="better on new images")
    assert "dark/1001" in caplog.text
    assert "better on new images" in caplog.text
