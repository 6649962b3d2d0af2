"""Reading what such clients send: any shape of body, numbers as texts, null for nothing.

Nothing here refuses a value that is merely odd: an option that says nothing intelligible says nothing.
"""

import base64
import binascii
import json
from io import BytesIO
from typing import Any

from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParserError

from solving.dialects import errors
from solving.dialects.errors import DialectError
from solving.models import MAX_ID
from solving.uploads import FORM_OVERHEAD, MemoryUploadHandler

LEAST_BYTES = 100
"""Fewer are no image, whatever they are."""


def parameters_of(request: HttpRequest, *, images: int = 0) -> dict[str, Any]:
    """Query and body as one mapping, the body first; a file is its bytes.

    The body is a multipart or urlencoded form or a JSON object, by what it looks like: its content type may
    be wrong or absent. `images` says how many may be in it, for the limit on its length.
    """
    body = _body(request, images)
    content_type = request.META.get("CONTENT_TYPE", "").lower()
    parameters: dict[str, Any] = request.GET.dict()
    if content_type.startswith("multipart/form-data"):
        return parameters | _from_multipart(request, body)
    text = body.decode("utf-8-sig", errors="replace").strip("\0 \t\r\n")
    if text.startswith(("{", "[")) or "json" in content_type:
        return parameters | _from_json(text)
    return parameters | QueryDict(text, encoding="utf-8").dict()


def text(value: Any) -> str:
    """A text or a number as a text; nothing for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return str(value).strip()


def whole(value: Any) -> int | None:
    """A whole number, as one or as a text; true is 1."""
    found = number(value)
    return None if found is None or found != int(found) else int(found)


def number(value: Any) -> float | None:
    if isinstance(value, str) and len(value) < 30:
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, (int, float)) or not abs(value) < 2**53:  # NaN compares with nothing
        return None
    return value


def truth(value: Any) -> bool:
    return value is True or text(value).lower() in ("1", "true", "yes")


def identifier(value: Any) -> int:
    """The id of a task, `123` or `"123"`. Raises DialectError."""
    digits = text(value)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 16 and 0 < int(digits) <= MAX_ID):
        raise DialectError(errors.WRONG_ID)
    return int(digits)


def image_of(value: Any) -> bytes:
    """The bytes of an image: a file's, or base64 with or without ``data:…;base64,``. Raises DialectError."""
    if isinstance(value, str):
        value = _from_base64(value)
    if not isinstance(value, bytes) or len(value) < LEAST_BYTES:
        raise DialectError(errors.EMPTY, f"The image has fewer than {LEAST_BYTES} bytes.")
    if len(value) > settings.MAX_UPLOAD_BYTES:
        raise DialectError(errors.TOO_BIG, f"An image has at most {settings.MAX_UPLOAD_BYTES:,} bytes.")
    return value


def _from_base64(encoded: str) -> bytes:
    encoded = encoded.strip()
    if encoded.startswith("data:"):
        encoded = encoded.partition(",")[2]
    encoded = "".join(encoded.split()).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DialectError(errors.NO_IMAGE, f"The image is not base64: {error}.") from error


def _body(request: HttpRequest, images: int) -> bytes:
    limit = FORM_OVERHEAD + images * (settings.MAX_UPLOAD_BYTES * 4 // 3 + 4)
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        # Django reads Content-Length bytes, of which there are none; the server knows where the chunks end.
        stream = request.META["wsgi.input"] if request.META.get("wsgi.input_terminated") else BytesIO()
        body = bytes(stream.read(limit + 1))
    else:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        body = b"" if length > limit else request.read()
        if length > limit:
            raise DialectError(errors.TOO_BIG)
    if len(body) > limit:
        raise DialectError(errors.TOO_BIG)
    return body


def _from_multipart(request: HttpRequest, body: bytes) -> dict[str, Any]:
    request.upload_handlers = [MemoryUploadHandler(request)]
    try:
        form, files = request.parse_file_upload(request.META | {"CONTENT_LENGTH": len(body)}, BytesIO(body))
    except (MultiPartParserError, OSError) as error:
        raise DialectError(errors.NO_UPLOAD, f"The form cannot be read: {error}.") from error
    return form.dict() | {name: files.getlist(name)[-1].read() for name in files}


def _from_json(body: str) -> dict[str, Any]:
    try:
        parsed = json.loads(body or "{}")
    except (ValueError, RecursionError) as error:
        raise DialectError(errors.PARAMETERS, "The JSON cannot be read.") from error
    return parsed if isinstance(parsed, dict) else {}
