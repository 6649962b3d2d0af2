"""Captchas drawn with given defences."""

import numpy as np
import pytest

from ml.recognition.synthesis.defences import DEFENCES, draw, random_text

SIZE = (160, 48)


@pytest.mark.parametrize("defence", [*DEFENCES, None])
def test_the_same_seed_draws_the_same_picture_of_the_size_asked_for(defence: str | None) -> None:
    active = [defence] if defence else []
    first, second = draw(5, "AB3DE", SIZE, active), draw(5, "AB3DE", SIZE, active)
    assert first.size == SIZE
    assert first.mode == "RGB"
    assert first.tobytes() == second.tobytes()
    assert (draw(5, "AB3DE", SIZE).tobytes() != first.tobytes()) == bool(active)


def test_adding_dots_changes_the_dotted_pixels_and_no_others() -> None:
    without = np.asarray(draw(9, "AB3DE", SIZE, ["rotation", "lines"]))
    dotted = np.asarray(draw(9, "AB3DE", SIZE, ["rotation", "lines", "dots"]))
    changed = (without != dotted).any(axis=2).mean()
    assert 0.01 < changed < 0.06


def test_pale_ink_stands_out_less() -> None:
    def contrast(*active: str) -> int:
        return int(np.ptp(np.asarray(draw(1, "AB3DE", SIZE, active).convert("L"))))

    assert contrast("contrast") < contrast() / 2


def test_a_long_text_is_made_to_fit() -> None:
    ink = np.asarray(draw(2, "W" * 9, (60, 20)).convert("L")) < 200
    assert ink.any()
    assert not ink[:, 0].any()
    assert not ink[:, -1].any()


def test_an_unknown_defence_is_refused_with_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"no such defence: moat \(there are: rotation"):
        draw(0, "A", SIZE, ["moat"])


def test_texts_keep_to_alphabet_and_lengths() -> None:
    drawn = [random_text(seed, "AB7", (3, 5)) for seed in range(50)]
    assert {len(text) for text in drawn} == {3, 4, 5}
    assert set("".join(drawn)) == set("AB7")
    assert random_text(3, "AB7", (3, 5)) == drawn[3]
