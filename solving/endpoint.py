"""What the endpoints share that take an image and charge for it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.authentication import UserRequest, api_key_of
from solving import services
from solving.errors import Refused
from solving.idempotency import Answer, request_hash
from solving.models import Solve
from solving.services import Hints, Receipt, Result
from solving.throttles import SolveThrottle
from solving.uploads import drain


class RateLimitMixin(APIView):
    """Tells the caller how much of the rate is left."""

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in getattr(request, "rate_limit_headers", {}).items():
            response[name] = value
        return response


class CostlyEndpoint(RateLimitMixin):
    """Charges for what it answers, once for each Idempotency-Key."""

    throttle_classes: Sequence[type[BaseThrottle]] = (SolveThrottle,)
    key_scopes: ClassVar = {"POST": "solve"}
    request: UserRequest
    costs_credits: Any = True
    """Has it said in every error that nothing was charged."""

    def answer_once(
        self, work: Callable[..., Result], render: Callable[[Result], Answer], *asked: bytes | str
    ) -> HttpResponse:
        """What `work` gives, rendered; once for each Idempotency-Key, of requests that ask the same."""
        key = self.request.META.get("HTTP_IDEMPOTENCY_KEY")
        if key is None:
            answer = render(work())
        else:
            answer = services.once(
                user=self.request.user,
                key=key,
                request_hash=request_hash(self.request.path, *asked),
                work=lambda before_commit: work(before_commit=before_commit),
                render=render,
            )
        return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        if response.status_code >= 400:
            drain(request._request)
        return super().finalize_response(request, response, *args, **kwargs)


class ImageEndpoint(CostlyEndpoint, ABC):
    """Solves the one image of a request."""

    def solve(self, image: bytes, hints: Hints, asked: str = "") -> HttpResponse:
        """The response to an image; `asked` is what else tells one request from another."""
        solve = partial(
            services.solve,
            user=self.request.user,
            image=image,
            hints=hints,
            api_key=api_key_of(self.request),
        )
        return self.answer_once(solve, self.render, asked, image)

    def render(self, receipt: Receipt) -> Answer:
        """The answer to a solve; a refusal looks like every other error."""
        solve = receipt.solve
        if solve.outcome == Solve.Outcome.SOLVED:
            return self.render_solved(receipt)
        refused = Refused(solve_id=solve.pk, reason_code=solve.reason_code, reason=solve.reason)
        response = self.get_exception_handler()(refused, self.get_exception_handler_context())
        return Answer(response.status_code, response["Content-Type"], response.content)

    @abstractmethod
    def render_solved(self, receipt: Receipt) -> Answer:
        """The answer to a captcha that was read."""
