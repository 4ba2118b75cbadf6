"""A core that runs by itself until its requests have ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rocminfra.planning.engine.core import EngineCore
from rocminfra.planning.engine.request import Request


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
