"""The value of a sum that a captcha shows, by a small parser: ``33+2=?`` is 35."""

from __future__ import annotations

import re

MULTIPLICATION = "*×xX·"
DIVISION = "/÷:"
MINUS = "-−–"
CHARACTERS = "0123456789+=? " + MULTIPLICATION + DIVISION + MINUS
"""Every character that a sum may hold."""

_MAX_LENGTH = 64
_MAX_DIGITS = 9
_QUESTION = re.compile(r"\s*=?\s*\??\s*\Z")
_TOKEN = re.compile(rf"\s*(?:([0-9]+)|([+{re.escape(MULTIPLICATION + DIVISION + MINUS)}]))")


class NotArithmetic(ValueError):
    """The text is no sum of integers, or one without an integer value; the message says why."""


def answer(text: str) -> int:
    """The value of integers joined by ``+ - × ÷ * / x``, with or without a final ``=``, ``?`` and spaces.

    Products bind before sums; a first minus is a sign.

    Raises:
        NotArithmetic: another text, a division by zero or one with a remainder.
    """
    numbers, operators = _tokens(text)
    if not operators:
        raise NotArithmetic(f"{text!r} holds no operator")
    total, sign, product = 0, 1, numbers[0]
    for operator, number in zip(operators, numbers[1:], strict=True):
        if operator in MULTIPLICATION:
            product *= number
        elif operator in DIVISION:
            product = _divide(product, number)
        else:
            total, sign, product = total + sign * product, -1 if operator in MINUS else 1, number
    return total + sign * product


def _tokens(text: str) -> tuple[list[int], list[str]]:
    """Numbers and the operators between them: one operator fewer than numbers."""
    if len(text) > _MAX_LENGTH:
        raise NotArithmetic(f"a sum of {len(text)} characters is longer than any captcha's")
    question = _QUESTION.search(text)
    end = question.start() if question else len(text)
    tokens: list[str] = []
    position = 0
    while position < end:
        match = _TOKEN.match(text, position, end)
        if match is None:
            raise NotArithmetic(f"{text!r} is no sum: {text[position:end].strip()[:1]!r} has no place in it")
        tokens.append(match[1] or match[2])
        position = match.end()
    if tokens and tokens[0] in MINUS:
        tokens.insert(0, "0")
    if len(tokens) % 2 == 0 or not all(token.isdigit() for token in tokens[::2]):
        raise NotArithmetic(f"{text!r} is no sum: numbers and operators must take turns")
    if any(len(token) > _MAX_DIGITS for token in tokens):
        raise NotArithmetic(f"{text!r} holds a number of more than {_MAX_DIGITS} digits")
    if any(token.isdigit() for token in tokens[1::2]):
        raise NotArithmetic(f"{text!r} is no sum: two numbers stand side by side")
    return [int(token) for token in tokens[::2]], tokens[1::2]


def _divide(dividend: int, divisor: int) -> int:
    if divisor == 0:
        raise NotArithmetic(f"{dividend}÷0 has no value")
    quotient, remainder = divmod(dividend, divisor)
    if remainder:
        raise NotArithmetic(f"{dividend}÷{divisor} leaves a remainder")
    return quotient
