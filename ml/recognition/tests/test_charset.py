"""Alphabets and the coding of text in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.recognition.charset import BLANK, GENERAL_ALPHABET, Alphabet


@given(st.text(GENERAL_ALPHABET.characters))
def test_what_is_encoded_decodes_to_itself(text: str) -> None:
    indices = GENERAL_ALPHABET.encode(text)
    assert BLANK not in indices
    assert GENERAL_ALPHABET.decode(indices) == text


def test_the_general_alphabet_has_seventy_characters_and_a_blank() -> None:
    assert len(GENERAL_ALPHABET.characters) == 70
    assert GENERAL_ALPHABET.size == 71
    assert GENERAL_ALPHABET.characters.startswith("0123456789ABC")
    assert GENERAL_ALPHABET.characters.endswith("+-*/=?×÷")


def test_an_unknown_character_is_named() -> None:
    with pytest.raises(ValueError, match="'é' in 'Aé'"):
        Alphabet("ABC").encode("Aé")


@pytest.mark.parametrize("index", [BLANK, -1, 4])
def test_a_class_that_is_no_character_does_not_decode(index: int) -> None:
    with pytest.raises(ValueError, match="is no character"):
        Alphabet("ABC").decode([index])


def test_a_character_stands_once() -> None:
    with pytest.raises(ValueError, match="'A' more than once"):
        Alphabet("ABA")


def test_the_mask_keeps_the_blank_and_the_allowed() -> None:
    np.testing.assert_array_equal(Alphabet("ABC").mask("CAx"), [True, True, False, True])
    np.testing.assert_array_equal(Alphabet("ABC").mask(""), [True, False, False, False])
