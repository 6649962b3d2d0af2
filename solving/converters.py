"""What may stand in an address."""

from django.urls import register_converter
from django.urls.converters import IntConverter

from solving.models import MAX_ID


class SolveIdConverter(IntConverter):
    """An id that can exist; a larger number is an address that does not."""

    regex = "[1-9][0-9]{0,15}"

    def to_python(self, value: str) -> int:
        number = int(value)
        if number > MAX_ID:
            raise ValueError("no such id")
        return number


register_converter(SolveIdConverter, "solve_id")
