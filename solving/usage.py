"""GET /api/v1/account/usage: what was solved and spent, by day, type and outcome, as JSON or CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, fields
from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import UserRequest
from solving import selectors, serializers
from solving.endpoint import RateLimitMixin
from solving.throttles import ReadThrottle
from solving.totals import UsageRow


class UsageView(RateLimitMixin):
    request: UserRequest
    key_scopes: ClassVar = {"GET": "read"}
    throttle_classes = (ReadThrottle,)

    @extend_schema(
        operation_id="account_usage_retrieve",
        summary="What was solved and spent",
        parameters=[serializers.PeriodSerializer],
        responses={
            (200, "application/json"): serializers.UsageSerializer,
            (200, "text/csv"): OpenApiTypes.STR,
        },
        tags=["account"],
    )
    def get(self, request: Request) -> HttpResponse:
        """Solves and refusals of the caller by day (UTC), type and outcome; thirty days if not told else."""
        period = serializers.PeriodSerializer(data=request.query_params)
        period.is_valid(raise_exception=True)
        asked = period.validated_data
        usage = selectors.usage(user=self.request.user, start=asked["start"], end=asked["end"])
        if asked["format"] == "csv":
            return _as_csv(usage.rows, f"usage-{usage.start}-{usage.end}.csv")
        return Response(serializers.UsageSerializer(usage).data)


def _as_csv(rows: Sequence[UsageRow], name: str) -> HttpResponse:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(field.name for field in fields(UsageRow))
    writer.writerows(map(astuple, rows))
    response = HttpResponse(stream.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
