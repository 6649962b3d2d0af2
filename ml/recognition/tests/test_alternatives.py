"""What else each character may be: exact shares on small probabilities, and the ways of saying nothing."""

import numpy as np
import pytest

from ml.recognition.alternatives import MOST, alternatives
from ml.recognition.charset import Alphabet
from ml.recognition.decoding import Scores

ABC = Alphabet("ABC")


def frames(*rows: list[float]) -> Scores:
    """One frame a row: blank, A, B, C."""
    return np.array(rows)


def test_shares_are_those_of_the_whole_text_given_the_others() -> None:
    seen = frames([0.0, 0.7, 0.2, 0.1], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0])
    first, second = alternatives(seen, ABC.encode("AC"), ABC)
    assert [char for char, _ in first] == ["B", "C"]
    assert [share for _, share in first] == pytest.approx([0.2, 0.1])
    assert second == ()  # nothing else is seen there


def test_a_twin_without_a_blank_between_is_no_alternative() -> None:
    seen = frames([0.0, 0.6, 0.4, 0.0], [0.0, 0.0, 1.0, 0.0])
    first, _ = alternatives(seen, ABC.encode("AB"), ABC)
    assert first == ()  # B before B would be one B


def test_only_the_best_are_told() -> None:
    alphabet = Alphabet("ABCDEFGH")
    seen = np.array([[0.0, 0.3, 0.2, 0.15, 0.1, 0.1, 0.1, 0.05, 0.0]])
    (told,) = alternatives(seen, alphabet.encode("A"), alphabet)
    assert len(told) == MOST
    assert [share for _, share in told] == sorted((share for _, share in told), reverse=True)


def test_an_empty_text_has_none() -> None:
    assert alternatives(frames([1.0, 0.0, 0.0, 0.0]), [], ABC) == ()
