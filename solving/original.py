"""The original service's endpoint for an image: its request, its answer, its wording."""

import json

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request

from solving import serializers
from solving.api import IDEMPOTENCY_KEY
from solving.endpoint import ImageEndpoint
from solving.idempotency import Answer
from solving.services import Hints, Receipt
from solving.uploads import read_upload

_REFUSALS = (400, 401, 402, 409, 411, 413, 415, 422, 429, 503)


class UploadCaptchaView(ImageEndpoint):
    @extend_schema(
        operation_id="upload_captcha",
        summary="Solve a captcha",
        tags=["original"],
        parameters=[IDEMPOTENCY_KEY],
        request={"multipart/form-data": serializers.OriginalFormSerializer},
        responses={
            (200, "application/json"): OpenApiResponse(OpenApiTypes.STR, description="The solution."),
            (200, "text/plain"): OpenApiTypes.STR,
            **{(status, "application/json"): serializers.DetailSerializer for status in _REFUSALS},
        },
    )
    def post(self, request: Request) -> HttpResponse:
        """The solution of one image; arithmetic is computed. `Accept: text/plain` gives it without quotes."""
        upload = read_upload(request._request)
        return self.solve(upload.image, Hints())

    def render_solved(self, receipt: Receipt) -> Answer:
        answer = receipt.solve.answer
        if self.wants_plain_text():
            return Answer(200, "text/plain; charset=utf-8", answer.encode())
        return Answer(200, "application/json", json.dumps(answer).encode())

    def wants_plain_text(self) -> bool:
        accepted = self.request.META.get("HTTP_ACCEPT", "")
        return "text/plain" in accepted and "json" not in accepted
