"""Follow a run on its host to its end, and say what happens meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rocminfra.bench.remote_run import RemoteRun
from rocminfra.failure import Again, Do, FailedError, Fault
from rocminfra.planning.bench.progress import PointSummary, Status

# One question waits at most this long on the host, so that a lost connection is noticed and what
# is shown is not old.
WAIT_SLICE_S = 5
# A started run gives a sign of life within this.
START_S = 30


@dataclass
class Follower:
    """Follows one run.

    + target: the run
    + say: takes what happened, a line each
    + show: takes every status, for live progress
    + clock: monotonic seconds
    """

    target: RemoteRun
    say: Callable[[str], None]
    show: Callable[[Status], None] = lambda status: None
    clock: Callable[[], float] = time.monotonic
    _told: set[str] = field(default_factory=set)

    def follow(self, longest_s: float | None = None) -> Status:
        """Wait for the end; returns the last status.

        + longest_s: seconds that it may take; None when the host's own limit is enough

        Raises :class:`FailedError`.
        """
        began = self.clock()
        seen = -1
        while True:
            status = self.target.status(seen, WAIT_SLICE_S)
            self._tell(status)
            seen = status.revision
            state, passed = status.state, self.clock() - began
            other = status.refused_for or status.busy_with
            if state == "none" and other not in (None, self.target.run):
                # Two runs began at once, and the other was first.
                raise FailedError(
                    Fault.BENCHMARK_RUNNING,
                    f"benchmark {other} runs on this host",
                    next=Again("wait for it, or follow it", attach=other),
                )
            if state == "none" and passed > START_S:
                what = f"run {self.target.run} was started and left no sign of life"
                raise FailedError(Fault.RUN_DID_NOT_START, what, next=Do(self.target.journal))
            if state not in ("none", "running"):
                return status
            if longest_s is not None and passed > longest_s:
                what = f"run {self.target.run} has not ended in time"
                raise FailedError(Fault.RUN_NOT_IN_TIME, what, next=self.target.again)

    def _tell(self, status: Status) -> None:
        for repeat in status.repeats:
            key = f"{repeat.name} {repeat.attempt}"
            if key not in self._told:
                self._told.add(key)
                self.say(
                    f"{repeat.label}: {repeat.why}; attempt {repeat.attempt} begins, "
                    "in a new process and with another seed"
                )
        for number, point in enumerate(status.points, start=1):
            if point.name in self._told:
                continue
            self._told.add(point.name)
            self.say(
                f"{number}/{max(number, status.planned)} {point.label}: {point.outcome} "
                f"({point.wall_seconds:.0f} s{_attempts(point)})"
                + "".join(f"; {reason}" for reason in point.reasons)
            )
        self.show(status)


def _attempts(point: PointSummary) -> str:
    count = point.attempts
    return f", {count} attempts" if count > 1 else ""
