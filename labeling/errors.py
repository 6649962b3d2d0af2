"""What labelling refuses, for the views to answer with: each has a status, a stable code and a sentence."""

from http import HTTPStatus


class LabelingError(Exception):
    status = HTTPStatus.BAD_REQUEST
    code = "bad_request"


class Paused(LabelingError):
    """Too many checks went wrong; an admin has to let the person go on."""

    status = HTTPStatus.FORBIDDEN
    code = "paused"

    def __init__(self) -> None:
        super().__init__("Too many check images were read wrongly. An admin was told about it.")


class NotMember(LabelingError):
    """The person may not label this type; told like a type that does not exist."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"

    def __init__(self) -> None:
        super().__init__("There is nothing at this address.")


class Malformed(LabelingError):
    """The request is none that the page makes."""

    code = "malformed"
