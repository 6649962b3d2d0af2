"""The one image of a request: a multipart file, or base64 in a JSON object. Nothing is written to disk."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import InMemoryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.utils.datastructures import MultiValueDict

from solving.errors import UploadError

FIELDS = ("image", "captcha_image")
"""Names of the part that holds the image: ours, and the original service's."""
FORM_OVERHEAD = 64 * 1024
"""Bytes of a form or a JSON object beside the image itself."""
DRAIN_LIMIT = 64 * 1024 * 1024
"""How much of a refused body is read and thrown away, so that its sender sees the answer."""
_BOUNDARY = re.compile(r"multipart/form-data; boundary=([0-9A-Za-z'()+_,./:=?-]{1,200})", re.ASCII)
_HEAD_OF_FILE = re.compile(
    rb'\r\nContent-Disposition: form-data; name="(?:%s)"; filename="[ ().-]*\w[\w ().-]*"\r\n'
    rb"(?:Content-Type: [\w.+-]+/[\w.+-]+\r\n)?\r\n" % "|".join(FIELDS).encode()
)


@dataclass(frozen=True)
class Upload:
    """The image's bytes and the other parameters that came with it."""

    image: bytes
    parameters: Mapping[str, Any]


def read_upload(request: HttpRequest) -> Upload:
    """The image and the parameters of a request whose body has not been read.

    Raises UploadError, and Django's SuspiciousOperation where a form has too many parts.
    """
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        raise _without_length()
    if request.content_type == "multipart/form-data":
        _check_length(request, settings.MAX_UPLOAD_BYTES + FORM_OVERHEAD)
        return _from_form(request)
    if request.content_type == "application/json":
        _check_length(request, settings.MAX_UPLOAD_BYTES * 4 // 3 + FORM_OVERHEAD)
        return _from_json(request)
    raise _unsupported()


def read_uploads(request: HttpRequest, *, most: int) -> list[Upload | UploadError]:
    """The images of a batch, each with its parameters, in order; or what is wrong with one.

    A form has them as parts named image, and parameters for all of them; JSON as a list `images` of what
    `read_upload` takes. Raises UploadError for the request as a whole, and Django's SuspiciousOperation.
    """
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        raise _without_length()
    _check_length(request, settings.MAX_BATCH_BYTES)
    uploads: list[Upload | UploadError]
    if request.content_type == "multipart/form-data":
        form, files = _parsed_form(request, request.read())
        images = [part.read() for part in _image_parts(files)]
        parameters = _once_each(form)
        uploads = [Upload(image, parameters) for image in images]
    elif request.content_type == "application/json":
        listed = _parsed_json(request, "images").get("images")
        if not isinstance(listed, list):
            raise UploadError(400, "image_missing", "The JSON has no list named images.")
        uploads = [_from_member(one) for one in listed]
    else:
        raise _unsupported()
    if not uploads:
        raise UploadError(400, "image_missing", "There is no image in the batch.")
    if len(uploads) > most:
        raise UploadError(400, "too_many_images", f"A batch has at most {most} images, not {len(uploads):,}.")
    return uploads


def drain(request: HttpRequest) -> None:
    """Read what is left of the body: on a connection closed before, the answer would be lost."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > DRAIN_LIMIT:
        return
    try:
        while request.read(64 * 1024):
            pass
    except OSError:  # the sender has gone
        return


class MemoryUploadHandler(FileUploadHandler):
    """Keeps a file in memory; the length of the whole body was checked before."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.buffer = BytesIO()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.buffer.write(raw_data)

    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        self.buffer.seek(0)
        return InMemoryUploadedFile(
            self.buffer, self.field_name, self.file_name or "", self.content_type, file_size, self.charset
        )


def _without_length() -> UploadError:
    return UploadError(411, "length_required", "Send the request with a Content-Length, not in chunks.")


def _unsupported() -> UploadError:
    return UploadError(
        415,
        "unsupported_media_type",
        "Send multipart/form-data with the file as image, or application/json with image in base64.",
    )


def _check_length(request: HttpRequest, limit: int) -> None:
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > limit:
        raise UploadError(
            413,
            "image_too_large",
            f"The request has {length:,} bytes; an image may have {settings.MAX_UPLOAD_BYTES:,}. "
            "Send the captcha alone.",
        )


def _from_form(request: HttpRequest) -> Upload:
    try:
        body = request.read()
    except OSError as error:
        raise _unreadable_form(error) from error
    image = _only_file(request.META["CONTENT_TYPE"], body)
    if image is not None:
        return Upload(image, {})
    form, files = _parsed_form(request, body)
    parts = _image_parts(files)
    if not parts:
        if any(name in form for name in FIELDS):
            raise UploadError(
                400, "image_missing", "The part image is text, not a file: curl takes it as -F image=@FILE."
            )
        raise UploadError(400, "image_missing", "The form has no file part named image.")
    if len(parts) > 1:
        raise UploadError(400, "image_repeated", f"The form has {len(parts)} images; send exactly one.")
    return Upload(parts[0].read(), _once_each(form))


def _parsed_form(request: HttpRequest, body: bytes) -> tuple[QueryDict, MultiValueDict[str, UploadedFile]]:
    request.upload_handlers = [MemoryUploadHandler(request)]
    try:
        return request.parse_file_upload(request.META, BytesIO(body))
    except (MultiPartParserError, OSError) as error:
        raise _unreadable_form(error) from error


def _unreadable_form(error: Exception) -> UploadError:
    return UploadError(400, "body_malformed", f"The form cannot be read: {error}.")


def _image_parts(files: MultiValueDict[str, UploadedFile]) -> list[UploadedFile]:
    for name in files:
        if name not in FIELDS:
            raise UploadError(
                400, "image_unexpected_part", f"The file part {name[:64]!r} is not expected: use image."
            )
    return [part for name in FIELDS for part in files.getlist(name)]


def _once_each(form: QueryDict) -> dict[str, Any]:
    for name, values in form.lists():
        if len(values) > 1:
            raise UploadError(
                400, "parameter_repeated", f"The form has the part {name[:64]!r} more than once."
            )
    return form.dict()


def _only_file(content_type: str, body: bytes) -> bytes | None:
    """The content of a form's one file, where it has no other part and is written as most clients do.

    Django's parser takes 0.25 ms for such a form; whatever looks the least unusual is left to that one.
    """
    boundary = _BOUNDARY.fullmatch(content_type)
    if boundary is None:
        return None
    delimiter = b"--" + boundary[1].encode()
    end = b"\r\n" + delimiter + b"--\r\n"
    if not (body.startswith(delimiter) and body.endswith(end) and body.count(delimiter) == 2):
        return None
    head = _HEAD_OF_FILE.match(body, len(delimiter))
    stop = len(body) - len(end)
    return body[head.end() : stop] if head is not None and head.end() <= stop else None


def _from_json(request: HttpRequest) -> Upload:
    return _from_object(_parsed_json(request, "image"))


def _from_member(member: Any) -> Upload | UploadError:
    """One image of a batch; what is wrong with it is no error of the others."""
    if not isinstance(member, dict):
        return UploadError(400, "image_missing", "Each of images is an object with the member image.")
    try:
        upload = _from_object(member)
    except UploadError as error:
        return error
    if len(upload.image) > settings.MAX_UPLOAD_BYTES:
        text = f"The image has {len(upload.image):,} bytes; one may have {settings.MAX_UPLOAD_BYTES:,}."
        return UploadError(413, "image_too_large", text)
    return upload


def _parsed_json(request: HttpRequest, member: str) -> dict[str, Any]:
    try:
        body = json.loads(request.read())
    except (ValueError, RecursionError, OSError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UploadError(400, "body_malformed", f"The JSON cannot be read: {reason}.") from error
    if not isinstance(body, dict):
        raise UploadError(400, "body_malformed", f"The JSON must be an object with the member {member}.")
    return body


def _from_object(body: dict[str, Any]) -> Upload:
    images = [body.pop(name) for name in FIELDS if name in body]
    if not images:
        raise UploadError(400, "image_missing", "The JSON has no member image.")
    if len(images) > 1:
        raise UploadError(400, "image_repeated", f"The JSON has {len(images)} images; send exactly one.")
    return Upload(_from_base64(images[0]), body)


def _from_base64(text: Any) -> bytes:
    """Bytes of a base64 text, with or without the ``data:…;base64,`` of a browser and line breaks."""
    if not isinstance(text, str):
        raise UploadError(400, "image_not_base64", "The member image must be the file's bytes in base64.")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UploadError(400, "image_not_base64", f"The member image is not base64: {error}.") from error
