"""What is refused to the owner of a private type, each with a status, a stable code and what to do."""

from http import HTTPStatus

from django.conf import settings


class OwnTypeError(Exception):
    status = HTTPStatus.CONFLICT
    code = "own_type"


class TooManyTypes(OwnTypeError):
    code = "too_many_types"

    def __init__(self) -> None:
        most = settings.PRIVATE_TYPES_PER_USER
        if not most:
            super().__init__("Types of one's own are not open here: ask whoever runs this service.")
        else:
            super().__init__(f"You have {most} types, the most that an account may have: delete one first.")


class NameTaken(OwnTypeError):
    """By a type of their own, or by what is still being deleted of one."""

    code = "name_taken"

    def __init__(self, *, deleting: bool) -> None:
        super().__init__(
            "A type of this name is still being deleted: try again in a minute."
            if deleting
            else "You have a type of this name already: choose another one."
        )


class AwaitsApproval(OwnTypeError):
    code = "awaits_approval"

    def __init__(self) -> None:
        super().__init__(
            "Whoever runs this service was asked for leave to train this type. Nothing was charged: come "
            "back once it is given."
        )


class TrainingUnderWay(OwnTypeError):
    code = "training_under_way"

    def __init__(self) -> None:
        super().__init__("A training of yours is under way: wait for its end, or cancel it.")


class TooManyTrainings(OwnTypeError):
    code = "too_many_trainings"

    def __init__(self) -> None:
        most = settings.TRAININGS_PER_DAY
        super().__init__(f"You have begun {most} today (UTC), the most that an account may: train tomorrow.")


class CannotTrainYet(OwnTypeError):
    """Something is missing; `str(error)` says what. Nothing was charged."""

    code = "cannot_train"
