"""The hints of a request, from a form or a JSON object, as constraints on decoding.

Names and values that are not understood are refused: a hint that was silently dropped would not be kept.
"""

import re
from collections.abc import Mapping
from typing import Any

from ml.recognition.decoding import NUMERIC, Constraints
from solving.errors import InvalidParameter
from solving.services import Hints

CASE = ("upper", "lower")
MAX_LENGTH = 64
MAX_ALPHABET = 128
NAMES = (
    "captcha_type",
    "numeric",
    "min_length",
    "max_length",
    "case",
    "alphabet",
    "math",
    "min_confidence",
)

_SLUG = re.compile(r"[a-z][a-z0-9_]{1,62}")
_TRUE = ("true", "1")
_FALSE = ("false", "0")


def parse(parameters: Mapping[str, Any]) -> Hints:
    """The hints in `parameters`; an absent or null one, or an empty one of a form, says nothing.

    Raises InvalidParameter.
    """
    for name in parameters:
        if name not in NAMES:
            raise InvalidParameter(str(name)[:64], f"is not a hint; the hints are {', '.join(NAMES)}.")
    given = {name: value for name, value in parameters.items() if value is not None and value != ""}
    min_length = _integer(given, "min_length")
    max_length = _integer(given, "max_length")
    if min_length is not None and max_length is not None and min_length > max_length:
        raise InvalidParameter("min_length", f"is above max_length, {max_length}.")
    return Hints(
        captcha_type=_captcha_type(given),
        constraints=Constraints(
            min_length=min_length,
            max_length=max_length,
            numeric=_choice(given, "numeric", NUMERIC),
            alphabet=_alphabet(given),
            case=_choice(given, "case", CASE),
            math=_boolean(given, "math"),
        ),
        min_confidence=_probability(given, "min_confidence"),
    )


def _captcha_type(given: Mapping[str, Any]) -> str | None:
    value = given.get("captcha_type")
    if value is None:
        return None
    if not isinstance(value, str) or not _SLUG.fullmatch(value):
        raise InvalidParameter("captcha_type", "must be the slug of a type, such as captcha_type_a.")
    return value


def _choice(given: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str | None:
    value = given.get(name)
    if value is not None and value not in choices:
        raise InvalidParameter(name, f"must be one of {', '.join(choices)}.")
    return value


def _integer(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LENGTH:
        raise InvalidParameter(name, f"must be a whole number from 1 to {MAX_LENGTH}.")
    return value


def _alphabet(given: Mapping[str, Any]) -> frozenset[str] | None:
    value = given.get("alphabet")
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_ALPHABET:
        raise InvalidParameter("alphabet", f"must be a text of 1 to {MAX_ALPHABET} characters.")
    return frozenset(value)


def _boolean(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
        return value.lower() in _TRUE
    raise InvalidParameter(name, "must be true or false.")


def _probability(given: Mapping[str, Any], name: str) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{0,2}(\.[0-9]{0,20})?", value) and value != ".":
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InvalidParameter(name, "must be a number from 0 to 1.")
    return float(value)
