"""What issuers write on captchas: the alphabets that they draw from, and how likely that makes a text.

The synthesis draws its texts from this table, and the general reader expects them by it: `O164` is four of 36
characters, `0164` four of ten, and so the likelier of two texts that look alike.
"""

import math
import string
from functools import lru_cache

DIGITS = string.digits
UPPER = string.ascii_uppercase
LOWER = string.ascii_lowercase
SUMS = DIGITS + "+-*/=?×÷"
# Issuers leave out what people confuse; which characters differs by issuer.
UNAMBIGUOUS_UPPER = "".join(c for c in UPPER if c not in "IOQ")
UNAMBIGUOUS = "".join(c for c in UPPER + DIGITS if c not in "IO01L")

ALPHABETS = (
    (0.22, DIGITS),
    (0.14, UPPER),
    (0.05, UNAMBIGUOUS_UPPER),
    (0.13, UPPER + DIGITS),
    (0.13, UNAMBIGUOUS),
    (0.10, UPPER + LOWER + DIGITS),
    (0.06, UPPER + LOWER),
    (0.08, LOWER),
    (0.09, LOWER + DIGITS),
)
"""Share of the issuers, and the characters they use."""
SHARE_OF_SUMS = 0.08
"""Pictures with a sum, for one with a text from ALPHABETS."""

_EXPECTED = (*ALPHABETS, (SHARE_OF_SUMS, SUMS))
_UNHEARD_OF = 1e-6
"""Share of the issuers who write any characters at all."""


@lru_cache(maxsize=4096)
def surprise(text: str) -> float:
    """Log-probability of `text` as one issuer's, less that of its characters each from an issuer of its own.

    With issuers of shares s and alphabets A this is log(sum s |A|^-n), over the alphabets that hold all n
    characters, less the sum of the characters' own logs. A network that reads characters one by one has the
    latter in its scores already, so that this is what Bayes' rule adds.
    """
    everything = sum(share for share, _ in _EXPECTED)
    together = _UNHEARD_OF * len(_characters()) ** -float(len(text))
    for share, alphabet in _EXPECTED:
        if all(character in alphabet for character in text):
            together += share / everything * len(alphabet) ** -float(len(text))
    apart = sum(_characters().get(character, math.log(_UNHEARD_OF)) for character in text)
    return math.log(together) - apart


@lru_cache(maxsize=1)
def _characters() -> dict[str, float]:
    """Log-probability of each character by itself."""
    everything = sum(share for share, _ in _EXPECTED)
    shares: dict[str, float] = {}
    for share, alphabet in _EXPECTED:
        for character in alphabet:
            shares[character] = shares.get(character, 0.0) + share / everything / len(alphabet)
    return {character: math.log(share) for character, share in shares.items()}


def alphabets() -> tuple[str, ...]:
    """The alphabets that a text may be from."""
    return tuple(alphabet for _, alphabet in _EXPECTED)
