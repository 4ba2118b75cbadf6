"""The served engine does what the modelled one does."""

from __future__ import annotations

import asyncio

import pytest
from core_runs import run_all
from engine_under_test import in_loop

from rocminfra.lab.engine.clock import InstantClock, ScaledClock
from rocminfra.lab.engine.engine_loop import EngineLoop
from rocminfra.lab.engine.metrics import EngineMetrics
from rocminfra.planning.engine.core import EngineCore
from rocminfra.planning.engine.request import Request
from rocminfra.planning.engine.scheduler import SchedulerConfig

# Few blocks: some of these wait, and some lose their blocks.
CONFIG = SchedulerConfig(num_gpu_blocks=40, max_num_seqs=4, max_num_batched_tokens=256)
REQUESTS = [Request(f"r{index}", 100 + 37 * index % 90, 40 + 11 * index) for index in range(8)]


def test_the_same_tokens_come_in_the_same_order() -> None:
    wanted = [
        event.request_id
        for event in run_all(EngineCore(CONFIG), [(0.0, request) for request in REQUESTS])
        if event.kind == "token"
    ]
    got: list[str] = []
    ended: dict[str, str] = {}

    async def scenario() -> None:
        core = EngineCore(CONFIG)
        engine = EngineLoop(core, InstantClock(), EngineMetrics("toy", 16_384, {}))
        done = asyncio.Event()
        for request in REQUESTS:

            def sink(count: int, reason: str | None, name: str = request.id) -> None:
                got.extend([name] * count)
                if reason is not None:
                    ended[name] = reason
                if len(ended) == len(REQUESTS):
                    done.set()

            engine.submit(request, "length", sink)
        task = asyncio.create_task(engine.run())
        await done.wait()
        task.cancel()
        assert core.scheduler.preemptions > 0
        assert engine.in_flight == 0

    in_loop(scenario)
    assert sorted(got) == sorted(wanted)
    assert ended == {request.id: "length" for request in REQUESTS}
    # Tokens of one step are handed over in any order; a request's own are counted, and the
    # first of each comes in the order of admission.
    assert list(dict.fromkeys(got)) == list(dict.fromkeys(wanted))


def test_a_request_that_can_never_be_served_is_refused() -> None:
    async def scenario() -> None:
        engine = EngineLoop(EngineCore(CONFIG), InstantClock(), EngineMetrics("toy", 16_384, {}))
        with pytest.raises(ValueError, match="exceed the 624"):
            engine.submit(Request("long", 624, 1), "length", lambda *_: None)
        assert engine.in_flight == 0

    in_loop(scenario)


def test_a_scaled_clock_runs_ahead_of_the_real_one() -> None:
    async def scenario() -> None:
        clock = ScaledClock(1_000_000)
        start = clock.now()
        await clock.sleep_until(start + 1_000)
        assert clock.now() >= start + 1_000

    in_loop(scenario)
