"""The drawn pictures that the service ships to be tried on; none is anybody's captcha."""

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings


@dataclass(frozen=True)
class Sample:
    """A picture below the static files, of the type with this slug (`general`: of no known one)."""

    slug: str
    title: str

    @property
    def path(self) -> str:
        """Relative to the static files."""
        return f"samples/{self.slug}.png"

    @property
    def image(self) -> bytes:
        return (Path(settings.BASE_DIR) / "static" / self.path).read_bytes()


SAMPLES = [
    Sample("captcha_type_a", "type A"),
    Sample("captcha_type_b", "type B: the sum is computed"),
    Sample("general", "no known type"),
]


def sample_of(slug: str) -> Sample | None:
    return next((sample for sample in SAMPLES if sample.slug == slug), None)
