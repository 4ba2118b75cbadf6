"""What went wrong, as data: one type for every layer, rendered where it is printed.

Planning returns a :class:`Failure`, operations record it on its host, the runner prints it and
turns its kind into the exit code. Nothing is ever parsed back out of its text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit code of the ``rocminfra`` command; also the class of a failure."""

    DONE = 0
    UNEXPECTED = 1
    CHANGES = 2
    SETTINGS = 3
    UNREACHABLE = 4
    REFUSED = 5
    UNFIT = 6
    NOT_READY = 7
    BENCHMARK = 8
    LOCKED = 9
    INTERRUPTED = 130


# The first of these that any host has is the run's. What needs a person's decision comes first
# (data at stake, then wrong settings and hardware), then what makes the rest of the report
# doubtful, then what may be better on the next try.
SEVERITY = (
    ExitCode.INTERRUPTED,
    ExitCode.REFUSED,
    ExitCode.SETTINGS,
    ExitCode.UNFIT,
    ExitCode.UNEXPECTED,
    ExitCode.UNREACHABLE,
    ExitCode.LOCKED,
    ExitCode.NOT_READY,
    ExitCode.BENCHMARK,
    ExitCode.CHANGES,
    ExitCode.DONE,
)


def most_severe(codes: Iterable[ExitCode]) -> ExitCode:
    """The code that a run with all of ``codes`` ends with; DONE when there are none."""
    return min(codes, key=SEVERITY.index, default=ExitCode.DONE)


@dataclass(frozen=True)
class Do:
    """A next step that is the same whoever prints it.

    + text: a whole command, or an instruction, such as ``ssh root@203.0.113.7 dmesg``
    """

    text: str


@dataclass(frozen=True)
class Again:
    """Run the same command again, perhaps with more.

    Whoever prints it knows that command: ``pyinfra … deploy.py --data storage.wipe=…`` in one
    case, ``rocminfra apply … --wipe …`` in the other.

    + first: what to do before, as an instruction without a full stop; None for nothing
    + settings: (dotted setting, value) pairs to add, such as ``("storage.wipe", token)``
    + verbose: whether more output would help
    """

    first: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    verbose: bool = False


Next = Do | Again


@dataclass(frozen=True)
class Failure:
    """Why a host's run, or a whole command, ended.

    + kind: class of the failure, which is the exit code
    + what: what is wrong, one sentence
    + why: the evidence, a line each; remote stderr included
    + next: what to do about it, or None when nothing sensible can be said
    """

    kind: ExitCode
    what: str
    why: tuple[str, ...] = ()
    next: Next | None = None


class FailedError(Exception):
    """Carries a :class:`Failure` to whoever can print it.

    For code outside pyinfra operations only: an operation that raises ends every host's run.
    """

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.what)
