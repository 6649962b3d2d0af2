"""Lists of the admin that stay fast when their table holds millions of rows."""

from typing import Any, cast

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

COUNTED = 10_000


class LimitedPaginator(Paginator):
    """Counts and reaches the first 10,000 rows: counting ten million takes a second. Search finds more."""

    @cached_property
    def count(self) -> int:
        rows = cast(QuerySet[Any], self.object_list)
        return rows.order_by()[:COUNTED].count()
