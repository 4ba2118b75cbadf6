"""The served engine under an injected clock does what the prediction does, token for token.

This checks the server around the scheduler and latency model, not the model itself.
"""

from __future__ import annotations

import asyncio
import random

import pytest
from core_runs import Event, run_all
from engine_under_test import in_loop
from virtual_clock import VirtualClock

from rocminfra.lab.engine.engine_loop import EngineLoop
from rocminfra.lab.engine.metrics import EngineMetrics
from rocminfra.planning.engine.core import EngineCore, RunningStep
from rocminfra.planning.engine.request import ImageSpan, Request
from rocminfra.planning.engine.scheduler import SchedulerConfig
from rocminfra.planning.engine.steps import Completion

Arrivals = list[tuple[float, Request]]


class RecordingCore(EngineCore):
    """Keeps what happens, whoever drives it."""

    def __init__(self, config: SchedulerConfig) -> None:
        super().__init__(config)
        self.events: list[Event] = []

    def begin(self) -> RunningStep | None:
        running = super().begin()
        if running is not None:
            for kind, ids in (
                ("preempted", running.step.preempted),
                ("admitted", running.step.admitted),
            ):
                self.events.extend(Event(running.start, kind, one) for one in ids)
        return running

    def finish(self, running: RunningStep) -> Completion:
        done = super().finish(running)
        self.events.extend(Event(self.now, "token", one) for one in done.tokens)
        self.events.extend(Event(self.now, "finished", one) for one in done.finished)
        return done


def pages(count: int, seed: int) -> Arrivals:
    """Requests with and without a page, a few at once and then one after the other."""
    draw = random.Random(seed)
    arrivals: Arrivals = []
    at = 0.0
    for number in range(count):
        tokens = draw.randrange(300, 2_000)
        images = (ImageSpan(20, tokens - 100, 4 * (tokens - 100)),) if number % 3 else ()
        arrivals.append((at, Request(f"r{number}", tokens, draw.randrange(1, 40), images)))
        if number >= 5:
            at += draw.uniform(0.0, 1.7)
    return arrivals


def served(config: SchedulerConfig, arrivals: Arrivals) -> tuple[list[Event], dict[str, int]]:
    """Events of the server's engine loop, and tokens that it handed to each client."""
    core = RecordingCore(config)
    handed: dict[str, int] = {request.id: 0 for _, request in arrivals}

    async def scenario() -> None:
        clock = VirtualClock()
        engine = EngineLoop(core, clock, EngineMetrics("toy", 16_384, {}))
        done = asyncio.Event()
        ended: set[str] = set()

        def submit(request: Request) -> None:
            def sink(count: int, reason: str | None) -> None:
                handed[request.id] += count
                if reason is not None:
                    ended.add(request.id)
                if len(ended) == len(arrivals):
                    done.set()

            engine.submit(request, "length", sink)

        async def client() -> None:
            for at, request in arrivals:
                if at > clock.now():
                    await clock.sleep_until(at)
                submit(request)

        tasks = [asyncio.create_task(work) for work in (client(), engine.run(), clock.drive())]
        await done.wait()
        for task in tasks:
            task.cancel()

    in_loop(scenario)
    return core.events, handed


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "config",
    [
        SchedulerConfig(),
        SchedulerConfig(num_gpu_blocks=150, max_num_seqs=6, max_num_batched_tokens=1_024),
        SchedulerConfig(num_gpu_blocks=140, reserve_full_prompt=False),
    ],
    ids=["roomy", "tight", "no reservation"],
)
def test_the_same_events_at_the_same_times(config: SchedulerConfig, seed: int) -> None:
    arrivals = pages(14, seed)
    predicted = run_all(EngineCore(config), arrivals)
    events, handed = served(config, arrivals)
    assert events == predicted
    assert handed == {request.id: request.output_tokens for _, request in arrivals}


def test_the_tight_engines_do_preempt() -> None:
    """Or the sequences above would say less than they seem to."""
    config = SchedulerConfig(num_gpu_blocks=140, reserve_full_prompt=False)
    kinds = [event.kind for event in run_all(EngineCore(config), pages(14, 0))]
    assert "preempted" in kinds
