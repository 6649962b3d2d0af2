"""What the spider hands to the pipeline."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class CaptchaImage:
    """The bytes of an image as they came, where from and when (UTC), and its text if the site told it."""

    data: bytes = field(repr=False)
    url: str
    fetched: datetime
    text: str = ""
