"""Pages that stay put while rows are added."""

import re
from typing import Any

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

MAX_ID = 2**63 - 1


class NewestFirst(CursorPagination):
    """By falling id."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """One page. A parameter that is none of the list's is refused: who filters by it would be misled."""
        names = {self.cursor_query_param, self.page_size_query_param}
        names |= set(getattr(getattr(view, "filterset_class", None), "base_filters", ()))
        for name in request.query_params:
            if name not in names:
                raise ValidationError(
                    {name[:64]: f"is not a parameter; there are {', '.join(sorted(names))}."}
                )
        return super().paginate_queryset(queryset, request, view)

    def get_page_size(self, request: Request) -> int | None:
        """What is asked for, at most `max_page_size`."""
        asked = request.query_params.get(self.page_size_query_param, "")
        if asked and not re.fullmatch("0{0,9}[1-9][0-9]{0,99}", asked):
            raise ValidationError({self.page_size_query_param: "must be a whole number from 1."})
        return min(int(asked), self.max_page_size) if asked else self.page_size

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"]["minimum"] = 1
        return parameters

    def decode_cursor(self, request: Request) -> Cursor | None:
        """The stock class passes a made-up position on to the database, which answers with an exception."""
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            position = str(cursor.position)
            if not (position.isascii() and position.isdigit() and int(position) <= MAX_ID):
                raise NotFound(self.invalid_cursor_message)
        return cursor
