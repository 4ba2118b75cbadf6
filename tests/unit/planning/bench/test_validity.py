"""Whether a point's figures fit the engine's counters, its GPUs and the clocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.planning.bench.requests import Request
from rocminfra.planning.bench.validity import (
    clock_doubts,
    configuration,
    configuration_doubts,
    engine_doubts,
    floor_doubts,
    floor_ms,
    offset_doubts,
    silence_doubts,
    stranger_doubts,
    unchecked,
)

DONE = Request(
    id="a",
    attempt=1,
    outcome="completed",
    scheduled=1.0,
    start=1.0,
    first_token=1.1,
    last_token=1.6,
    end=1.6,
    tokens_in=147,
    tokens_cached=None,
    tokens_out=32,
    pieces=32,
    in_window=True,
)
CUT_OFF = replace(DONE, outcome="incomplete", tokens_out=20)
UNSEEN = replace(DONE, outcome="incomplete", tokens_in=128, tokens_out=None)
# A real point of 3 s with 4 streams: 140 completed, 3 with a part of an answer, 1 without.
REAL = (*[DONE] * 140, CUT_OFF, replace(CUT_OFF, tokens_out=23), replace(CUT_OFF, tokens_out=15))
REAL = (*REAL, UNSEEN)
COUNTED = {"requests": 143.0, "prompt_tokens": 21_021.0, "generation_tokens": 4_543.0}
BANDWIDTHS = {"AMD Instinct MI300X": 5.3e12, "AMD Instinct MI325X": 6.0e12}


def test_a_real_point_agrees_with_its_engine() -> None:
    assert engine_doubts(COUNTED, REAL) == ()
    assert unchecked(COUNTED, REAL) == ()


@pytest.mark.parametrize(
    ("counter", "value", "says"),
    [
        ("requests", 145.0, "finished 145 requests and GuideLLM sent 144: another client"),
        ("requests", 139.0, "finished 139 requests and GuideLLM saw 140 completed: something else"),
        ("prompt_tokens", 21_600.0, "21,600 prompt tokens and GuideLLM 20,580 to 21,168"),
        ("prompt_tokens", 20_000.0, "20,000 prompt tokens"),
        ("generation_tokens", 4_800.0, "4,800 generation tokens and GuideLLM 4,480 to 4,608"),
        ("generation_tokens", 4_300.0, "something else answered"),
    ],
)
def test_counters_that_contradict_the_requests(counter: str, value: float, says: str) -> None:
    (reason,) = engine_doubts({**COUNTED, counter: value}, REAL)
    assert says in reason


def test_what_is_missing_is_not_compared_and_said() -> None:
    assert engine_doubts({}, REAL) == ()
    assert engine_doubts(COUNTED, ()) == ()
    assert unchecked(None, REAL) == (
        "the engine's /metrics could not be read before and after the point",
    )
    assert unchecked(COUNTED, ()) == ("GuideLLM's report lists no requests",)
    unknown = (replace(DONE, tokens_in=None), DONE)
    wrong = {"requests": 2.0, "prompt_tokens": 9_999.0}
    assert engine_doubts(wrong, unknown) == ()
    assert unchecked(wrong, unknown) == (
        "the engine has no counter of generation_tokens",
        "completed requests without prompt tokens",
    )


counts = st.integers(min_value=0, max_value=20_000)
done = st.builds(
    lambda tokens_in, tokens_out: replace(DONE, tokens_in=tokens_in, tokens_out=tokens_out),
    counts,
    counts,
)
part = st.floats(min_value=0, max_value=1)


@given(st.lists(done, min_size=1, max_size=20), st.lists(st.tuples(done, part), max_size=8))
def test_an_engine_that_served_nothing_else_is_never_doubted(
    completed: list[Request], cut: list[tuple[Request, float]]
) -> None:
    """Whatever part of the requests that were cut off the engine has counted."""
    cut_off = [replace(one, outcome="incomplete") for one, _ in cut]
    counted = {
        "requests": float(len(completed) + sum(share > 0.5 for _, share in cut)),
        "prompt_tokens": float(sum(one.tokens_in or 0 for one in completed))
        + sum((one.tokens_in or 0) * (share > 0) for one, share in cut),
        "generation_tokens": float(sum(one.tokens_out or 0 for one in completed))
        + sum(int((one.tokens_out or 0) * share) for one, share in cut),
    }
    assert engine_doubts(counted, (*completed, *cut_off)) == ()


@given(st.lists(done, min_size=1, max_size=20), st.floats(min_value=0.03, max_value=5))
def test_another_clients_tokens_are_always_seen(completed: list[Request], share: float) -> None:
    total = sum(one.tokens_out or 0 for one in completed)
    counted = {"generation_tokens": total + max(1.0, share * total)}
    (reason,) = engine_doubts(counted, completed)
    assert "another client" in reason


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        (None, None, 0),
        ({}, {}, 0),
        ({"running": 0, "waiting": 0}, {"running": 4, "waiting": 0}, 0),
        ({"running": 1}, {"running": 0}, 1),
        ({"waiting": 2}, {"running": 5, "waiting": 1}, 2),
    ],
)
def test_requests_of_others_before_and_after(
    before: dict[str, float] | None, after: dict[str, float] | None, count: int
) -> None:
    assert len(stranger_doubts(before, after, cut_off=4)) == count


def waiting(start: float, end: float, token: float | None = None) -> Request:
    return replace(
        DONE, outcome="incomplete", start=start, end=end, first_token=token, last_token=token
    )


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([DONE, *[waiting(1.5, 21.0)] * 4], "in the last 19 s of the load, and 4 requests waited"),
        # The last thing heard is a token of a request that was cut off.
        ([DONE, waiting(1.5, 21.0, token=4.0)], "in the last 17 s of the load"),
        ([DONE, waiting(1.5, 21.0, token=20.9)], None),
        ([DONE, waiting(1.5, 21.0), replace(DONE, outcome="errored", end=20.0)], None),
        # None was waiting before: a load of few requests.
        ([DONE, waiting(19.0, 21.0)], None),
        ([DONE, waiting(1.5, 11.0)], None),
        # Long prompts: half a minute for an answer, so 80 s without any are none yet.
        ([replace(DONE, end=31.0), waiting(2.0, 111.0)], None),
        ([replace(DONE, end=31.0), waiting(2.0, 131.0)], "its longest answer before took 30.0 s"),
        # What has no answer at all is doubted for that.
        ([waiting(1.5, 21.0)], None),
        ([DONE], None),
        ([replace(DONE, start=None), replace(waiting(1.5, 21.0), end=None)], None),
        ([], None),
    ],
)
def test_an_engine_that_stops_to_answer(found: list[Request], says: str | None) -> None:
    reasons = silence_doubts(found)
    assert len(reasons) == (says is not None)
    assert says is None or says in reasons[0]


def test_the_floor_is_the_reference_models_at_the_published_bandwidth() -> None:
    bytes_of_a_step = 141.0e9
    floor = floor_ms(bytes_of_a_step, ["AMD Instinct MI300X VF"], BANDWIDTHS)
    assert floor == pytest.approx(26.6, abs=0.01)
    # The published run's synchronous point.
    assert floor_doubts(39.6, floor) == ()
    assert floor_doubts(26.1, floor) == ()
    (reason,) = floor_doubts(2.0, floor)
    assert "2.00 ms, and the GPUs need 26.60 ms" in reason


@pytest.mark.parametrize(
    ("step_bytes", "names"),
    [
        (None, ["AMD Instinct MI300X"]),
        (0.0, ["AMD Instinct MI300X"]),
        (1e9, []),
        (1e9, [None]),
        (1e9, ["MI300X simulated ×20"]),
        (1e9, ["AMD Instinct MI300"]),
        (1e9, ["AMD Instinct MI300X", "AMD Instinct MI325X"]),
    ],
)
def test_an_unknown_floor_bounds_nothing(step_bytes: float | None, names: list[str | None]) -> None:
    assert floor_ms(step_bytes, names, BANDWIDTHS) is None
    assert floor_doubts(0.001, None) == ()
    assert floor_doubts(None, 5.0) == ()


def test_two_gpus_read_the_weights_in_half_the_time() -> None:
    one, two = (floor_ms(1e9, ["AMD Instinct MI325X"] * count, BANDWIDTHS) for count in (1, 2))
    assert one is not None
    assert two == pytest.approx(one / 2)


def clocks(*steps: tuple[float, float]) -> list[tuple[float, float]]:
    """Wall and monotonic clock after each pair of steps."""
    wall, monotonic, found = 1_000_000.0, 5_000.0, []
    for forward, passed in ((0.0, 0.0), *steps):
        wall, monotonic = wall + forward, monotonic + passed
        found.append((wall, monotonic))
    return found


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([(1.0, 1.0)] * 300, None),
        ([(1.0005, 1.0)] * 300, None),  # NTP at its most
        ([(1.0, 1.0), (1.05, 1.0), (0.95, 1.0)], None),  # a reading that was interrupted
        ([(1.0, 1.0), (4.0, 1.0), (1.0, 1.0)], "moved by 3.00 s"),
        ([(1.0, 1.0), (-1.0, 1.0), (1.0, 1.0)], "moved by 2.00 s"),
        ([(1.005, 1.0)] * 300, "moved by 1.50 s"),
        ([(1.0, 1.0), (14.0, 14.0)], None),
        ([(1.0, 1.0), (40.0, 40.0)], "no sample for 40 s"),
        ([], None),
    ],
)
def test_clocks(steps: list[tuple[float, float]], says: str | None) -> None:
    found = clock_doubts(clocks(*steps))
    assert [says in reason for reason in found if says] == [True] * (says is not None)
    assert len(found) == (says is not None)
    assert clock_doubts([]) == ()


@given(
    st.lists(st.floats(min_value=0.01, max_value=10), min_size=2, max_size=30),
    st.floats(min_value=0.5, max_value=1e6) | st.floats(min_value=-1e6, max_value=-0.5),
    st.integers(min_value=0, max_value=28),
)
def test_a_clock_that_is_set_is_always_seen(passed: list[float], jump: float, when: int) -> None:
    steps = [(one, one) for one in passed]
    assert clock_doubts(clocks(*steps)) == ()
    at = when % len(steps)
    steps[at] = (steps[at][0] + jump, steps[at][1])
    (reason,) = clock_doubts(clocks(*steps))
    assert "clock was set" in reason


PAGE = (
    "# TYPE vllm:cache_config_info gauge\n"
    'vllm:cache_config_info{block_size="16",engine="0",note="a \\" }",num_gpu_blocks="6590"} 1\n'
    'vllm:cache_config_info{block_size="16",engine="1",note="a \\" }",num_gpu_blocks="6589"} 1\n'
    'vllm:cache_config_information{block_size="9"} 1.0\n'
)


def test_the_configuration_of_all_engines() -> None:
    assert configuration(PAGE) == {
        "block_size": "16",
        "note": 'a \\" }',
        "num_gpu_blocks": "6589, 6590",
    }
    assert configuration("") == {}


def test_the_configuration_of_two_real_engines() -> None:
    page = (Path(__file__).parent / "impossible" / "dp2.prom").read_text(encoding="utf-8")
    assert configuration(page) == {"block_size": "16", "num_gpu_blocks": "6590"}


def test_a_changed_configuration_says_what_changed() -> None:
    before = {"block_size": "16", "cache_dtype": "auto"}
    assert configuration_doubts(before, dict(before), "since x") == ()
    assert configuration_doubts({}, before, "since x") == (), "unknown is not changed"
    (reason,) = configuration_doubts(before, {"block_size": "32"}, "since concurrent@4")
    assert reason == (
        "the engine's configuration changed since concurrent@4: block_size 16 → 32, "
        "cache_dtype auto → nothing"
    )


def test_the_clock_of_a_load_generator_on_another_host() -> None:
    assert offset_doubts(None) == ()
    near = {"offset_s": 0.02, "uncertainty_s": 0.001, "furthest_s": 0.019}
    assert offset_doubts({"clock": near}) == ()
    # A slow answer proves little: at least 0.4 s apart is what is certain.
    slow = {"offset_s": 0.9, "uncertainty_s": 0.5, "furthest_s": 0.4}
    assert offset_doubts({"clock": slow}) == ()
    (reason,) = offset_doubts({"clock": {**near, "offset_s": -3.2, "furthest_s": 3.1}})
    assert reason.startswith("the clock of the load generator is -3.20 s from this host's")
    (reason,) = offset_doubts({"clock": None})
    assert "not compared" in reason
