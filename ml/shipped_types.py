"""What people are told about a captcha type when its first reader is registered."""

from typing import Any

from ml.recognition.artifacts import ReaderSpec

TITLES = {
    "captcha_type_a": "Five letters and digits under ripples",
    "captcha_type_b": "Sums under coloured circles",
}
EXAMPLES = {"captcha_type_a": "2KXQE", "captcha_type_b": "33+2=?"}


def describe(spec: ReaderSpec) -> dict[str, Any]:
    """The fields of a public `CaptchaType` as its reader's spec states them; an admin may edit them later."""
    return {
        "title": TITLES.get(spec.slug, spec.slug.replace("_", " ").capitalize()),
        "example": EXAMPLES.get(spec.slug, ""),
        "alphabet": spec.alphabet.characters,
        "min_length": spec.min_length,
        "max_length": spec.max_length,
        "case_sensitive": spec.case_sensitive,
        "arithmetic": spec.arithmetic,
    }
