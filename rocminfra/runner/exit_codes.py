"""Exit codes of the ``rocminfra`` command, and which one counts when hosts fail differently."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What the exit code of ``rocminfra`` means."""

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
