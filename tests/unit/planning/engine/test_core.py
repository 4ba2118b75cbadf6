"""Virtual time: it only goes forward, everything ends, and the same input gives the same events."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

import pytest
from core_runs import Event, run_all
from hypothesis import given
from scheduler_worlds import worlds

from rocminfra.planning.engine.core import EngineCore
from rocminfra.planning.engine.request import ImageSpan, Request
from rocminfra.planning.engine.scheduler import SchedulerConfig

World = tuple[SchedulerConfig, list[tuple[float, Request]]]


@given(worlds())
def test_virtual_time_is_monotone_and_every_token_comes_after_its_request(world: World) -> None:
    config, arrivals = world
    events = run_all(EngineCore(config), arrivals)
    assert all(one.at <= two.at for one, two in pairwise(events))
    for at, request in arrivals:
        own = [event for event in events if event.request_id == request.id]
        kinds = [event.kind for event in own]
        assert kinds[0] == "admitted"
        assert kinds[-1] == "finished"
        assert kinds.count("finished") == 1
        assert kinds.count("token") == request.output_tokens
        assert kinds.count("admitted") == 1 + kinds.count("preempted")
        assert own[0].at >= at


@given(worlds())
def test_the_same_requests_give_the_same_events(world: World) -> None:
    config, arrivals = world
    assert run_all(EngineCore(config), arrivals) == run_all(EngineCore(config), arrivals)


def token_times(events: list[Event], request_id: str) -> list[float]:
    return [event.at for event in events if (event.kind, event.request_id) == ("token", request_id)]


def test_one_stream_decodes_at_the_published_pace() -> None:
    """Published: 39.6 ms between tokens at 8,211 in and 1,024 out, one stream."""
    events = run_all(EngineCore(), [(0.0, Request("a", 8_211, 1_024))])
    times = token_times(events, "a")
    gaps = [two - one for one, two in pairwise(times)]
    assert median(gaps) == pytest.approx(0.0396, rel=0.05)


def test_twenty_pages_run_at_once_and_the_others_wait_tens_of_seconds() -> None:
    """Published for 64 streams: TTFT median 38.5 s, KV usage up to 94.8 %."""
    core = EngineCore()
    page = (ImageSpan(60, 4_919, 4 * 4_919),)
    for index in range(64):
        core.submit(Request(f"r{index}", 4_996, 19, page))
    most_running = 0
    most_used = 0.0
    first_tokens: dict[str, float] = {}
    while (running := core.begin()) is not None:
        most_running = max(most_running, core.scheduler.running)
        most_used = max(most_used, core.scheduler.pool.usage)
        for request_id in core.finish(running).tokens:
            first_tokens.setdefault(request_id, core.now)
    assert most_running in (20, 21)
    assert most_used > 0.9
    assert 20 < median(first_tokens.values()) < 75
