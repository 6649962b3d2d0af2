"""POST /api/v1/solves/batch: up to 64 images, paid for by one commit, each answered by itself."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from accounts.authentication import api_key_of
from accounts.errors import AccountError
from ml.recognition.images import ImageError
from solving import hints, serializers, services
from solving.api import IDEMPOTENCY_KEY
from solving.endpoint import CostlyEndpoint
from solving.errors import Refused, SolvingError
from solving.history import describe
from solving.idempotency import Answer
from solving.models import Solve
from solving.services import MAX_BATCH, BatchReceipt, Item
from solving.throttles import count_request
from solving.uploads import Upload, UploadError, read_uploads


class BatchView(CostlyEndpoint):
    throttle_classes = ()  # each image counts, and how many there are is known once the request was read

    @extend_schema(
        operation_id="solve_batch",
        summary="Solve up to 64 captchas",
        tags=["solves"],
        parameters=[IDEMPOTENCY_KEY],
        request={
            "multipart/form-data": serializers.BatchFormSerializer,
            "application/json": serializers.BatchJsonSerializer,
        },
        responses=serializers.BatchSerializer,
    )
    def post(self, request: Request) -> HttpResponse:
        """Read several images and charge for those that were read, all at once.

        One that cannot be read costs nothing and takes nothing from the others. Those past the credits are
        `insufficient_credits`.
        """
        uploads = read_uploads(request._request, most=MAX_BATCH)
        headers = count_request("solve", f"user-{request.user.pk}", len(uploads))
        request.rate_limit_headers = headers  # type: ignore[attr-defined]
        items = [_item(upload) for upload in uploads]
        work = partial(
            services.solve_batch,
            user=self.request.user,
            items=[item for item in items if isinstance(item, Item)],
            api_key=api_key_of(self.request),
        )
        return self.answer_once(work, partial(_render, items), *_asked(uploads))


def _item(upload: Upload | UploadError) -> Item | SolvingError:
    """What to read, or why this image cannot be."""
    if isinstance(upload, UploadError):
        return upload
    try:
        return Item(upload.image, hints.parse(upload.parameters))
    except SolvingError as error:
        return error


def _asked(uploads: Sequence[Upload | UploadError]) -> Iterator[bytes | str]:
    """What tells one batch from another."""
    for upload in uploads:
        if isinstance(upload, UploadError):
            yield str(upload)
        else:
            yield json.dumps(upload.parameters, sort_keys=True)
            yield upload.image


def _render(items: Sequence[Item | SolvingError], receipt: BatchReceipt) -> Answer:
    outcomes = iter(receipt.outcomes)
    solves = [_described(next(outcomes) if isinstance(item, Item) else item) for item in items]
    body = {"solves": solves, "charged": receipt.charged, "balance": receipt.balance}
    return Answer(200, "application/json", json.dumps(body).encode())


def _described(outcome: Solve | ImageError | AccountError | SolvingError) -> dict[str, Any]:
    if not isinstance(outcome, Solve):
        if isinstance(outcome, ImageError):
            error = {"code": f"image_{outcome.code}", "detail": outcome.sentence}
        else:
            error = {"code": outcome.code, "detail": str(outcome)}
        return {"outcome": "failed", "solve": None, "error": error}
    if outcome.outcome == Solve.Outcome.SOLVED:
        return {"outcome": "solved", "solve": describe(outcome), "error": None}
    refused = Refused(solve_id=outcome.pk, reason_code=outcome.reason_code, reason=outcome.reason)
    error = {"code": refused.code, "detail": str(refused)}
    return {"outcome": "refused", "solve": describe(outcome), "error": error}
