"""The OpenAPI document of every app's endpoints, and the page that lets one try them."""

import json
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from captcha_site.problems import CONTENT_TYPE, TYPE_PREFIX

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. Programs decide by `code`, which never changes; `detail` is for people.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": [TYPE_PREFIX + "insufficient_credits"]},
        "title": {"type": "string", "examples": ["Payment Required"]},
        "status": {"type": "integer", "examples": [402]},
        "detail": {"type": "string"},
        "code": {"type": "string", "examples": ["insufficient_credits"]},
        "charged": {
            "type": "integer",
            "const": 0,
            "description": "Where the request could have cost credits.",
        },
        "errors": {
            "type": "array",
            "description": "With the code `invalid`: what is wrong with which field.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
EVERYWHERE = {400: "Bad request", 429: "Too many requests", 503: "Out of order for a moment"}
WITH_BODY = {401: "Not let in", 413: "Too large", 415: "Neither a form nor JSON"}
SIGNED_IN = {401: "Not let in", 403: "Not with this API key"}
BY_NAME = {404: "Not found"}
REPORTED = {409: "Reported before, or there is no answer", 410: "The image is not kept any more"}
COSTLY = {
    402: "Not enough credits",
    409: "The first request with this Idempotency-Key still runs",
    411: "Without a Content-Length",
    422: "The captcha was not solved, or the Idempotency-Key was used for another request",
}
"""What operations may answer besides their success; `code` says which of several reasons it was."""


def add_problems(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add to every operation below ``/api/`` the problems it may answer: a hook of drf-spectacular."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    for name in ("ImageFormRequest", "ImageJsonRequest"):  # an unknown hint is refused
        schemas[name]["additionalProperties"] = False
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, operations in result["paths"].items():
        if not path.startswith("/api/"):
            continue
        for operation in operations.values():
            for status, description in _problems(operation).items():
                problem = {"description": description, "content": content}
                operation["responses"].setdefault(str(status), problem)
    return result


def _problems(operation: dict[str, Any]) -> dict[int, str]:
    parameters = {parameter["name"] for parameter in operation.get("parameters", [])}
    possible = dict(EVERYWHERE)
    if "requestBody" in operation:
        possible |= WITH_BODY
    if operation.get("security"):
        possible |= SIGNED_IN
    if parameters & {"id", "cursor"}:
        possible |= BY_NAME
    if operation.get("operationId") == "solves_report":
        possible |= REPORTED
    if "Idempotency-Key" in parameters:
        possible |= COSTLY
    return possible


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """The OpenAPI 3.1 document as JSON."""
    response = HttpResponse(_document(), content_type="application/vnd.oai.openapi+json; version=3.1")
    response["Cache-Control"] = "public, max-age=300"
    return response


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Swagger UI, served by this project alone and without a script or style in the page."""
    return render(request, "docs.html")


@lru_cache(maxsize=1)
def _document() -> bytes:
    """Made once a process: it depends on nothing but the code, and takes a tenth of a second."""
    from drf_spectacular.generators import SchemaGenerator

    return json.dumps(SchemaGenerator().get_schema(request=None, public=True)).encode()
