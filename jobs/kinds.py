"""The kinds of jobs there are. Each app registers its own in `AppConfig.ready`: `jobs` knows no app."""

from dataclasses import dataclass


class UnknownKind(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is no kind of job named {name}.")
        self.name = name


@dataclass(frozen=True)
class Kind:
    """A management command that may run as a job.

    `restartable`: running it again after it was killed half way does no harm, so a run whose process died is
    queued again by itself.
    """

    name: str
    command: str
    title: str
    needs_training: bool = False
    restartable: bool = False


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Raises ValueError for another kind of the same name."""
    if _kinds.setdefault(kind.name, kind) != kind:
        raise ValueError(f"There are two kinds of job named {kind.name}.")


def kind_named(name: str) -> Kind:
    """Raises UnknownKind."""
    if name not in _kinds:
        raise UnknownKind(name)
    return _kinds[name]


def all_kinds() -> list[Kind]:
    return sorted(_kinds.values(), key=lambda kind: kind.title)
