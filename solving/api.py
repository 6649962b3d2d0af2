"""The modern face, below ``/api/v1/``: solve an image, look at past solves, see what can be read."""

import json
from dataclasses import asdict
from typing import ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics
from rest_framework.exceptions import NotFound
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from accounts.authentication import UserRequest
from ml import registry
from solving import hints, reports, serializers
from solving.endpoint import ImageEndpoint, RateLimitMixin
from solving.history import HistoryFilter, HistoryPages, describe
from solving.idempotency import Answer
from solving.models import Solve
from solving.services import Receipt
from solving.throttles import ReadThrottle
from solving.uploads import read_upload

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="A name of yours for this request. Its repetition within 24 hours has the same answer, free.",
)


@extend_schema_view(
    get=extend_schema(
        operation_id="solves_list",
        summary="The own history",
        description="Past solves and refusals of the caller, newest first.",
        tags=["solves"],
    )
)
class SolvesView(ImageEndpoint, generics.ListAPIView[Solve]):
    key_scopes: ClassVar = {"GET": "read", "POST": "solve"}
    serializer_class = serializers.PastSolveSerializer
    filter_backends = (DjangoFilterBackend,)
    filterset_class = HistoryFilter
    pagination_class = HistoryPages

    @property
    def costs_credits(self) -> bool:
        return self.request.method == "POST"

    def get_throttles(self) -> list[BaseThrottle]:
        return super().get_throttles() if self.costs_credits else [ReadThrottle()]

    def get_queryset(self) -> QuerySet[Solve]:
        return Solve.objects.filter(user_id=self.request.user.pk)

    @extend_schema(
        operation_id="solve",
        summary="Solve a captcha",
        tags=["solves"],
        parameters=[IDEMPOTENCY_KEY],
        request={
            "multipart/form-data": serializers.ImageFormSerializer,
            "application/json": serializers.ImageJsonSerializer,
        },
        responses=serializers.SolvedSerializer,
    )
    def post(self, request: Request) -> HttpResponse:
        """Read one image and charge for it. What cannot be read surely enough is refused and free."""
        upload = read_upload(request._request)
        asked = json.dumps(upload.parameters, sort_keys=True)
        return self.solve(upload.image, hints.parse(upload.parameters), asked)

    def render_solved(self, receipt: Receipt) -> Answer:
        body = describe(receipt.solve) | {"balance": receipt.balance}
        return Answer(200, "application/json", json.dumps(body).encode())


class PastSolveView(RateLimitMixin, generics.RetrieveAPIView[Solve]):
    request: UserRequest
    key_scopes: ClassVar = {"GET": "read"}
    serializer_class = serializers.PastSolveSerializer
    throttle_classes = (ReadThrottle,)

    def get_queryset(self) -> QuerySet[Solve]:
        return Solve.objects.filter(user_id=self.request.user.pk)

    @extend_schema(operation_id="solves_retrieve", summary="One past solve", tags=["solves"])
    def get(self, request: Request, pk: int) -> Response:
        """A solve of the caller, such as one whose answer was lost on the way."""
        return self.retrieve(request)


class ReportView(RateLimitMixin):
    request: UserRequest
    key_scopes: ClassVar = {"GET": "read", "POST": "solve"}
    throttle_classes = (ReadThrottle,)

    @extend_schema(
        operation_id="solves_report",
        summary="Report an answer as right or wrong",
        request=serializers.NewReportSerializer,
        responses=serializers.FiledReportSerializer,
        tags=["solves"],
    )
    def post(self, request: Request, pk: int) -> Response:
        """Once for each solve, while its image is kept. A wrong answer is paid back once it is confirmed."""
        solve = get_object_or_404(Solve, pk=pk, user_id=request.user.pk)
        body = serializers.NewReportSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        report = reports.file(user=self.request.user, solve=solve, **body.validated_data)
        notice = reports.standing(self.request.user).notice
        return Response(serializers.ReportSerializer(report).data | {"notice": notice})

    @extend_schema(
        operation_id="solves_report_retrieve",
        summary="How a report stands",
        responses=serializers.ReportSerializer,
        tags=["solves"],
    )
    def get(self, request: Request, pk: int) -> Response:
        """What became of a report: `waiting`, or what people decided, and what was paid back."""
        solves = Solve.objects.select_related("report")
        solve = get_object_or_404(solves, pk=pk, user_id=request.user.pk)
        report = getattr(solve, "report", None)
        if report is None:
            raise NotFound("This solve was not reported.")
        return Response(serializers.ReportSerializer(report).data)


class CaptchaTypesView(RateLimitMixin):
    key_scopes: ClassVar = {"GET": "read"}
    permission_classes = (AllowAny,)
    throttle_classes = (ReadThrottle,)

    @extend_schema(
        operation_id="captcha_types_list",
        summary="What can be read",
        responses=serializers.CaptchaTypeSerializer(many=True),
        tags=["captcha-types"],
    )
    def get(self, request: Request) -> Response:
        """The types with a reader, and how well it reads them. With a token, one's own private types too."""
        types = registry.available_types(user_id=request.user.pk)
        return Response([asdict(one) for one in types])
