"""Greedy and constrained decoding, against a search over all paths of small pictures."""

from __future__ import annotations

import itertools
import math
import string
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ml.recognition.charset import BLANK, GENERAL_ALPHABET, Alphabet
from ml.recognition.decoding import (
    Constraints,
    collapse,
    constrained_decode,
    greedy_decode,
    log_softmax,
    text_probabilities,
    text_probability,
)

SMALL = Alphabet("1Ab+")
FRAMES = 5
small_logits = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, FRAMES), st.just(SMALL.size)),
    elements=st.floats(-12, 12, width=16),
)
lengths = st.none() | st.integers(1, 4)
constraint_sets = st.builds(
    lambda low, high, numeric, alphabet, case: Constraints(
        min(low, high) if low and high else low,
        max(low, high) if low and high else high,
        numeric,
        alphabet,
        case,
    ),
    lengths,
    lengths,
    st.sampled_from([None, "digits", "letters", "alphanumeric", "both"]),
    st.none() | st.sets(st.sampled_from("1Ab+x"), min_size=1).map(frozenset),
    st.sampled_from([None, "upper", "lower"]),
)


def logits_of(
    text: str, alphabet: Alphabet = GENERAL_ALPHABET, frames: int = 50, peak: float = 24.0
) -> np.ndarray:
    """Logits of a network that is sure of `text`: two frames a character, blanks between."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1, (frames, alphabet.size)).astype(np.float32)
    logits[:, BLANK] += peak / 2
    for start, index in zip(
        np.linspace(1, frames - 3, len(text)).astype(int), alphabet.encode(text), strict=True
    ):
        logits[start : start + 2, index] += peak
    return logits


def best_of_all_paths(logits: np.ndarray, constraints: Constraints) -> float:
    """Log-probability of the best path that obeys the constraints, over every path there is."""
    scores = log_softmax(logits.astype(np.float64))
    best = -math.inf
    for path in itertools.product(range(SMALL.size), repeat=len(logits)):
        if constraints.allows(SMALL.decode(collapse(path))):
            best = max(best, sum(scores[frame, index] for frame, index in enumerate(path)))
    return best


def best_path_of_text(logits: np.ndarray, text: str) -> float:
    scores = log_softmax(logits.astype(np.float64))
    paths = itertools.product({BLANK, *SMALL.encode(text)}, repeat=len(logits))
    return max(
        sum(scores[frame, index] for frame, index in enumerate(path))
        for path in paths
        if SMALL.decode(collapse(path)) == text
    )


def test_collapse_merges_repeats_and_drops_blanks() -> None:
    assert collapse([0, 3, 3, 0, 3, 4, 4, 0]) == [3, 3, 4]
    assert collapse([]) == []


def test_greedy_reads_a_clear_picture_with_confidence() -> None:
    reading = greedy_decode(logits_of("2KXQE"), GENERAL_ALPHABET)
    assert reading.text == "2KXQE"
    assert reading.confidence > 0.9
    assert [character.char for character in reading.characters] == list("2KXQE")
    assert all(0.9 < character.confidence <= 1 for character in reading.characters)


def test_a_blank_picture_reads_as_nothing() -> None:
    reading = greedy_decode(logits_of(""), GENERAL_ALPHABET)
    assert (reading.text, reading.characters) == ("", ())
    assert 0.5 < reading.confidence <= 1


def test_a_double_letter_survives() -> None:
    assert greedy_decode(logits_of("AAB"), GENERAL_ALPHABET).text == "AAB"


def test_temperature_lowers_the_confidence_and_keeps_the_text() -> None:
    logits = logits_of("2KXQE", peak=14)
    sharp, soft = (greedy_decode(logits, GENERAL_ALPHABET, temperature) for temperature in (1.0, 2.0))
    assert sharp.text == soft.text
    assert soft.confidence < sharp.confidence


@settings(max_examples=60, deadline=None)
@given(small_logits)
def test_probabilities_of_all_texts_sum_to_one(logits: np.ndarray) -> None:
    probabilities = np.exp(log_softmax(logits.astype(np.float64)))
    texts = {
        tuple(collapse(path)) for path in itertools.product(range(SMALL.size), repeat=min(len(logits), 4))
    }
    total = sum(text_probability(probabilities[:4], text) for text in texts)
    assert total == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(small_logits)
def test_the_confidence_is_the_sum_over_all_paths_of_the_text(logits: np.ndarray) -> None:
    scores = log_softmax(logits.astype(np.float64))
    reading = greedy_decode(logits, SMALL)
    total = sum(
        math.exp(sum(scores[frame, index] for frame, index in enumerate(path)))
        for path in itertools.product(range(SMALL.size), repeat=len(logits))
        if SMALL.decode(collapse(path)) == reading.text
    )
    assert reading.confidence == pytest.approx(total, rel=1e-4)


@settings(max_examples=150, deadline=None)
@given(small_logits, constraint_sets)
def test_constrained_decoding_finds_the_best_path_of_all(
    logits: np.ndarray, constraints: Constraints
) -> None:
    reading = constrained_decode(logits, SMALL, constraints)
    best = best_of_all_paths(logits, constraints)
    if reading is None:
        top = log_softmax(logits.astype(np.float64)).max(axis=1).sum()
        assert best < top - 11
    else:
        assert constraints.allows(reading.text)
        assert best_path_of_text(logits, reading.text) == pytest.approx(best, abs=1e-4)


@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(np.float32, (30, GENERAL_ALPHABET.size), elements=st.floats(-10, 10, width=16)),
    st.integers(1, 8),
    st.integers(0, 6),
    st.sampled_from([None, "digits", "letters", "alphanumeric", "both"]),
    st.none() | st.text(string.ascii_letters + string.digits, min_size=1, max_size=20),
    st.sampled_from([None, "upper", "lower"]),
)
def test_an_answer_never_breaks_a_constraint(
    logits: np.ndarray, low: int, more: int, numeric: str | None, alphabet: str | None, case: str | None
) -> None:
    characters = None if alphabet is None else frozenset(alphabet)
    constraints = Constraints(low, low + more, numeric, characters, case)
    reading = constrained_decode(logits, GENERAL_ALPHABET, constraints)
    if reading is not None:
        assert constraints.allows(reading.text)
        assert low <= len(reading.text) <= low + more
        assert 0 <= reading.confidence <= 1


@settings(max_examples=50, deadline=None)
@given(small_logits)
def test_without_constraints_it_is_greedy(logits: np.ndarray) -> None:
    assert constrained_decode(logits, SMALL, Constraints()) == greedy_decode(logits, SMALL)


def test_a_length_finds_the_runner_up() -> None:
    logits = logits_of("2KXQE")
    logits[:, GENERAL_ALPHABET.encode("Q")[0]] -= 20
    assert greedy_decode(logits, GENERAL_ALPHABET).text == "2KXE"
    reading = constrained_decode(logits, GENERAL_ALPHABET, Constraints(5, 5))
    assert reading is not None
    assert reading.text == "2KXQE"


def test_digits_only_reads_an_ambiguous_o_as_zero() -> None:
    logits = logits_of("1O2")
    position = int(logits[:, GENERAL_ALPHABET.encode("O")[0]].argmax())
    logits[position, GENERAL_ALPHABET.encode("0")[0]] = logits[position, GENERAL_ALPHABET.encode("O")[0]] - 1
    reading = constrained_decode(logits, GENERAL_ALPHABET, Constraints(numeric="digits"))
    assert reading is not None
    assert reading.text == "102"
    assert reading.confidence > 0.9, "given digits, nothing else competes with the zero"


def test_a_hint_that_contradicts_a_clear_picture_has_no_reading() -> None:
    logits = logits_of("2KXQE", peak=30)
    assert constrained_decode(logits, GENERAL_ALPHABET, Constraints(4, 4)) is None
    assert constrained_decode(logits, GENERAL_ALPHABET, Constraints(numeric="digits")) is None
    assert (
        constrained_decode(logits, GENERAL_ALPHABET, Constraints(alphabet=frozenset("é"), min_length=1))
        is None
    )


def test_a_forced_class_counts_against_the_plausibility_in_every_frame() -> None:
    # An A as wide as four frames: as the only character allowed, the 1 loses by 4 nats in each of them.
    logits = np.full((4, SMALL.size), -50.0)
    logits[:, SMALL.encode("A")[0]] = 0
    logits[:, SMALL.encode("1")[0]] = -4
    assert constrained_decode(logits[:2], SMALL, Constraints(1, 1, "digits")) is not None
    assert constrained_decode(logits, SMALL, Constraints(1, 1, "digits")) is None


def test_more_characters_than_frames_have_no_reading() -> None:
    assert constrained_decode(np.zeros((3, SMALL.size)), SMALL, Constraints(min_length=4)) is None


def test_math_reads_a_sum_of_any_length() -> None:
    reading = constrained_decode(logits_of("33+2=?"), GENERAL_ALPHABET, Constraints(math=True, max_length=2))
    assert reading is not None
    assert reading.text == "33+2=?"


def test_math_reads_no_letters() -> None:
    logits = logits_of("3S+2")
    logits[:, GENERAL_ALPHABET.encode("5")[0]] = logits[:, GENERAL_ALPHABET.encode("S")[0]] - 1
    reading = constrained_decode(logits, GENERAL_ALPHABET, Constraints(math=True))
    assert reading is not None
    assert reading.text == "35+2"


def test_constrained_decoding_stays_vectorised() -> None:
    """A loop over frames and classes in Python takes some 50 ms here; the search about 0.3."""
    logits = logits_of("2KXQE")
    constraints = Constraints(6, 12)
    times = []
    for _ in range(20):
        start = time.process_time()
        constrained_decode(logits, GENERAL_ALPHABET, constraints)
        times.append(time.process_time() - start)
    assert min(times) < 0.005


@pytest.mark.parametrize(
    "wrong",
    [
        {"numeric": "some"},
        {"case": "title"},
        {"alphabet": frozenset()},
        {"min_length": 0},
        {"min_length": 5, "max_length": 4},
    ],
)
def test_constraints_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[-1]):
        Constraints(**wrong)  # type: ignore[arg-type]


def test_constraints_say_themselves_in_words() -> None:
    assert str(Constraints(4, 4)) == "length 4"
    assert str(Constraints(4, 6, "digits")) == "length 4 to 6, digits only"
    assert str(Constraints(min_length=3, case="upper")) == "length 3 or more, upper case only"
    assert str(Constraints(max_length=3, alphabet=frozenset("ab"))) == "length 3 or less, the alphabet given"
    assert str(Constraints()) == "no constraint"


def test_an_alphabet_may_be_given_as_a_string() -> None:
    assert Constraints(alphabet="abc").alphabet == frozenset("abc")  # type: ignore[arg-type]


def test_texts_are_as_probable_under_several_looks_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        classes = int(rng.integers(3, 8))
        looks = [rng.random((frames, classes)) ** 3 for frames in rng.integers(1, 14, rng.integers(1, 5))]
        looks = [rows / rows.sum(axis=1, keepdims=True) for rows in looks]
        texts = [
            rng.integers(1, classes, length).tolist() for length in rng.integers(0, 6, rng.integers(1, 6))
        ]
        expected = [[text_probability(rows, text) for text in texts] for rows in looks]
        np.testing.assert_allclose(text_probabilities(looks, texts), expected, atol=1e-7)
