"""Drawing captchas: the same for a seed, every style, colours that grey cannot tell apart."""

from itertools import islice

import numpy as np
import pytest

from ml.recognition.charset import GENERAL_ALPHABET
from ml.recognition.images import InputSize
from ml.recognition.synthesis import colours, fonts, generator, glyphs, negatives, stream, texts, warps


@pytest.mark.parametrize("style", sorted(generator.STYLES))
def test_a_seed_draws_the_same_captcha_again(style: str) -> None:
    first, second = generator.draw(7, style), generator.draw(7, style)
    assert first.text == second.text
    assert first.image.tobytes() == second.image.tobytes()
    assert generator.draw(8, style).image.tobytes() != first.image.tobytes()


@pytest.mark.parametrize("style", sorted(generator.STYLES))
def test_every_style_writes_what_the_general_reader_can_read(style: str) -> None:
    for seed in range(60):
        drawing = generator.draw(seed, style)
        assert drawing.image.mode == "RGB"
        assert GENERAL_ALPHABET.encode(drawing.text)
        assert len(np.unique(np.asarray(drawing.image).reshape(-1, 3), axis=0)) > 1


def test_a_given_text_is_what_is_written() -> None:
    assert generator.draw(3, "mixed", "AB12").text == "AB12"
    assert generator.draw(3, "ripples", "AB12").text == "AB12"


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(KeyError):
        generator.draw(0, "cubist")


def test_pairs_of_equal_luminance_differ_in_hue_and_not_in_grey() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        ink, paper = colours.equal_luminance_pair(rng)
        assert abs(float(ink @ colours.LUMA) - float(paper @ colours.LUMA)) < 0.06
        assert np.abs(ink - paper).max() > 0.1


def test_typesetting_knows_which_character_a_pixel_belongs_to() -> None:
    rng = np.random.default_rng(1)
    setting = glyphs.Typesetting(font=fonts.font_files()[0], size=30, spacing=0.3)
    ink = glyphs.typeset(rng, "ABC", setting)
    columns = [np.flatnonzero((ink.owner == index).any(axis=0)).mean() for index in range(3)]
    assert columns == sorted(columns)
    assert ink.mask.max() == pytest.approx(1.0)


def test_a_warp_moves_ink_and_keeps_the_canvas() -> None:
    rng = np.random.default_rng(2)
    ink = glyphs.typeset(rng, "WARP", glyphs.Typesetting(font=fonts.font_files()[0], size=30))
    bent = warps.bend(rng, ink, strength=1.0)
    assert bent.mask.shape == ink.mask.shape
    assert np.abs(bent.mask - ink.mask).sum() > 10
    assert bent.mask.sum() > 0.5 * ink.mask.sum()


def test_an_operator_that_a_font_lacks_is_printed_from_another() -> None:
    rng = np.random.default_rng(4)
    lacking = [path for path in fonts.font_files() if not any(fonts.draws(path, shape) for shape in "÷:")]
    for path in (*lacking[:3], fonts.font_files()[0]):
        shape, font = glyphs._operator(rng, "÷", path)
        assert fonts.draws(font, shape)


def test_sums_are_integers_with_an_operator() -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        written = texts.random_sum(rng)
        assert any(operator in written for operator in "+-*/×÷")
        assert written[0].isdigit()


def test_every_kind_of_picture_without_a_captcha_is_drawn() -> None:
    drawn = {negatives.draw(seed)[1] for seed in range(120)}
    assert drawn == set(negatives.KINDS)


def test_several_processes_draw_what_one_draws() -> None:
    config = stream.StreamConfig(InputSize(), seed=5, negatives=0.2)
    here = list(islice(stream.blocks(config, 256, processes=0), 2))
    apart = stream.blocks(config, 256, processes=2)
    there = list(islice(apart, 2))
    apart.close()
    assert [text for block in here for _, text in block] == [text for block in there for _, text in block]
    for (image, _), (other, _) in zip(here[1], there[1], strict=True):
        assert np.array_equal(image, other)


def test_a_stream_for_a_type_writes_its_alphabet_and_lengths() -> None:
    config = stream.StreamConfig(InputSize(), seed=1, negatives=0.0, alphabet="XYZ", lengths=(3, 4))
    pairs = stream.draw_chunk(config, 1, 40)
    assert {len(text) for _, text in pairs} == {3, 4}
    assert set("".join(text for _, text in pairs)) == set("XYZ")
    assert {image.shape[0] for image, _ in pairs} == {40}
    assert all(image.shape[1] % 16 == 0 for image, _ in pairs)


def test_without_fonts_the_error_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "FONT_ROOTS", ())
    fonts.font_files.cache_clear()
    try:
        with pytest.raises(fonts.NoFonts, match="make packages"):
            fonts.font_files()
    finally:
        fonts.font_files.cache_clear()
