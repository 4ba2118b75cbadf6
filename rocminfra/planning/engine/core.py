"""Scheduler and latency model on one virtual clock: an engine without a GPU and without waiting.

The engine simulator drives it at a scaled pace of the real clock; predictions let it run as fast
as it can. Standard library only: the engine simulator's image carries this file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rocminfra.planning.engine.latency import LatencyModel
from rocminfra.planning.engine.request import Request
from rocminfra.planning.engine.scheduler import Scheduler, SchedulerConfig
from rocminfra.planning.engine.steps import Completion, Step


@dataclass(frozen=True)
class RunningStep:
    """A step under way, from ``start`` to ``end`` (seconds on the virtual clock)."""

    step: Step
    start: float
    end: float


@dataclass(frozen=True)
class Event:
    """A token, or what happened to a request.

    + at: seconds on the virtual clock
    + kind: ``admitted``, ``preempted``, ``token`` or ``finished``
    + request_id: whose
    """

    at: float
    kind: str
    request_id: str


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


def run_all(core: EngineCore, arrivals: Iterable[tuple[float, Request]]) -> list[Event]:
    """Everything that happens until all requests have ended.

    + arrivals: (seconds on the virtual clock, request), in order of time
    """
    queue = sorted(arrivals, key=lambda arrival: arrival[0])
    events: list[Event] = []
    position = 0
    while True:
        while position < len(queue) and queue[position][0] <= core.now:
            core.submit(queue[position][1])
            position += 1
        running = core.begin()
        if running is None:
            if position == len(queue):
                return events
            core.advance(queue[position][0])
            continue
        for kind, ids in (
            ("preempted", running.step.preempted),
            ("admitted", running.step.admitted),
        ):
            events.extend(Event(running.start, kind, request_id) for request_id in ids)
        done = core.finish(running)
        events.extend(Event(core.now, "token", request_id) for request_id in done.tokens)
        events.extend(Event(core.now, "finished", request_id) for request_id in done.finished)
