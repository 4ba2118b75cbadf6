"""Scheduler and latency model on one virtual clock: an engine without a GPU and without waiting.

The engine simulator drives it at a scaled pace of the real clock; predictions let it run as fast
as it can. Standard library only: the engine simulator's image carries this file.
"""

from __future__ import annotations

from typing import NamedTuple

from rocminfra.planning.engine.latency import LatencyModel
from rocminfra.planning.engine.request import Request
from rocminfra.planning.engine.scheduler import Scheduler, SchedulerConfig
from rocminfra.planning.engine.steps import Completion, Step


class RunningStep(NamedTuple):
    """A step under way, from ``start`` to ``end`` (seconds on the virtual clock)."""

    step: Step
    start: float
    end: float


class EngineCore:
    """One engine; ``begin`` a step, let its time pass, ``finish`` it.

    + now: seconds on the virtual clock; it never goes back
    """

    def __init__(
        self, config: SchedulerConfig | None = None, latency: LatencyModel | None = None
    ) -> None:
        self.scheduler = Scheduler(config)
        self.latency = LatencyModel() if latency is None else latency
        self.now = 0.0

    def submit(self, request: Request) -> None:
        """Put ``request`` in the queue; raises as :meth:`Scheduler.add`."""
        self.scheduler.add(request)

    def advance(self, to: float) -> None:
        """Let idle time pass; a time in the past changes nothing."""
        self.now = max(self.now, to)

    def begin(self) -> RunningStep | None:
        """Start the next step at ``now``; None when there is nothing to compute."""
        step = self.scheduler.schedule()
        if step is None:
            return None
        return RunningStep(step, self.now, self.now + self.latency.seconds(step))

    def finish(self, running: RunningStep) -> Completion:
        """End a step: its tokens are there, and ``now`` is its end."""
        self.advance(running.end)
        return self.scheduler.complete(running.step)
