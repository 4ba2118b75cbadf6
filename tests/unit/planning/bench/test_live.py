"""How far a run is: expectations out of what its points took, figures out of the engine's."""

from __future__ import annotations

from typing import Any

from rocminfra.planning.bench.live import (
    OVERHEAD_S,
    engine_figures,
    expected_point_s,
    expected_run_s,
    words,
)
from rocminfra.planning.bench.progress import Live


def sample(time: float, **engine: float) -> dict[str, Any]:
    return {"time": time, "engine": engine}


def test_the_first_point_is_expected_to_take_its_load_and_an_overhead() -> None:
    assert expected_point_s(120, []) == 120 + OVERHEAD_S
    assert expected_run_s(3, 120, []) == 3 * (120 + OVERHEAD_S)


def test_later_points_are_expected_to_take_what_the_first_ones_took() -> None:
    assert expected_point_s(120, [130, 140]) == 135
    assert expected_run_s(4, 120, [130, 140]) == 270 + 2 * 135
    assert expected_run_s(1, 120, [130, 140]) == 270, "nothing is left"


def test_rates_are_those_of_the_last_seconds() -> None:
    figures = engine_figures(
        [
            sample(0, requests=5, prompt_tokens=0, generation_tokens=0),
            sample(90, requests=20, prompt_tokens=9000, generation_tokens=900),
            sample(
                *(100,),
                requests=25,
                prompt_tokens=19000,
                generation_tokens=1900,
                kv_cache_usage=0.9,
                running=64,
                waiting=3,
            ),
        ]
    )
    assert figures == {
        "requests": 20,
        "tokens_per_second": 1100,
        "kv_cache_usage": 0.9,
        "running": 64,
        "waiting": 3,
    }


def test_what_the_engine_does_not_say_is_not_made_up() -> None:
    nothing = engine_figures([])
    assert set(nothing.values()) == {None}
    assert engine_figures([{"time": 1.0, "error": "refused"}]) == nothing
    assert engine_figures([sample(1.0, running=2)])["tokens_per_second"] is None


def test_counters_that_went_back_are_no_negative_rate() -> None:
    figures = engine_figures(
        [sample(0, requests=9, generation_tokens=900), sample(5, requests=1, generation_tokens=10)]
    )
    assert (figures["requests"], figures["tokens_per_second"]) == (0, 0)


def test_one_line_says_it_all() -> None:
    live = Live("concurrent@64", 3, 10, 45, 130, 700, 2400, 120, 2621.4, 0.934, 64, 3)
    assert words(live) == (
        "point 3 of 10, concurrent@64: 45 s of about 2 min; run: 12 min of about 40 min; "
        "120 requests, 2,621 tokens/s, KV 93 %, 64 running, 3 waiting"
    )
    bare = Live("synchronous", 1, 1, 1, 19, 1, 19)
    assert words(bare).endswith("run: 1 s of about 19 s")
