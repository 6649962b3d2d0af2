"""The parser for sums, against Python's own fractions."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.recognition.arithmetic import CHARACTERS, NotArithmetic, answer

OPERATORS = {"+": "+", "-": "-", "−": "-", "*": "*", "×": "*", "x": "*", "/": "/", "÷": "/"}
ENDS = ["", "=", "?", "=?", " = ?", "= "]
numbers = st.integers(0, 99)
sums = st.lists(st.tuples(st.sampled_from(sorted(OPERATORS)), numbers), min_size=1, max_size=4)


def value(first: int, rest: list[tuple[str, int]]) -> Fraction | None:
    """Products first, then sums, in exact fractions; None for a remainder or a zero on the way."""
    terms = [Fraction(first)]
    for symbol, number in rest:
        match OPERATORS[symbol]:
            case "+":
                terms.append(Fraction(number))
            case "-":
                terms.append(Fraction(-number))
            case "*":
                terms[-1] *= number
            case "/":
                if number == 0 or (terms[-1] / number).denominator != 1:
                    return None
                terms[-1] /= number
    return sum(terms, Fraction(0))


@given(numbers, sums, st.sampled_from(ENDS), st.sampled_from(["", " "]))
def test_it_agrees_with_exact_fractions(first: int, rest: list[tuple[str, int]], end: str, gap: str) -> None:
    text = f"{first}" + "".join(f"{gap}{symbol}{gap}{number}" for symbol, number in rest) + end
    expected = value(first, rest)
    if expected is None:
        with pytest.raises(NotArithmetic):
            answer(text)
    else:
        assert answer(text) == expected


@given(st.text(CHARACTERS + "AB().٣²", max_size=80))
def test_any_text_has_an_integer_value_or_is_refused(text: str) -> None:
    with contextlib.suppress(NotArithmetic):
        assert isinstance(answer(text), int)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("33+2=?", 35),
        ("2+3×4", 14),
        ("10-4-3", 3),
        ("12 ÷ 4 = ?", 3),
        ("7x8=", 56),
        ("-5+2", -3),
        ("3−5", -2),
        ("8/2*3", 12),
        ("007+1", 8),
        ("6:3", 2),
    ],
)
def test_sums_as_captchas_write_them(text: str, expected: int) -> None:
    assert answer(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "take turns"),
        ("?", "take turns"),
        ("42", "no operator"),
        ("5/0", "5÷0 has no value"),
        ("7÷2=?", "leaves a remainder"),
        ("3+", "take turns"),
        ("3 4", "take turns"),
        ("3+-4", "take turns"),
        ("1 2 3", "side by side"),
        ("2KXQE", "'K' has no place"),
        ("3+4=7", "'=' has no place"),
        ("1234567890+1", "more than 9 digits"),
        ("1+" * 40 + "1", "longer than"),
        ("__import__('os')", "'_' has no place"),
        ("٣+٤", "has no place"),
    ],
)
def test_what_is_no_sum_says_why(text: str, reason: str) -> None:
    with pytest.raises(NotArithmetic, match=reason):
        answer(text)
