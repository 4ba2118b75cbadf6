"""How often a point is tried and how long that may take."""

from __future__ import annotations

from typing import Any

import pytest
from bench_fakes import attempt_record, point_record
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.planning.bench.outcome_records import PointRecord
from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.retry import (
    SILENCE_S,
    Seen,
    is_repeated,
    limits,
    longest_seconds,
    seen_in,
)

SECONDS = st.floats(min_value=0, max_value=10_000)


def record(
    seconds: float = 18.0, verdict: str = "ended", exit_code: int | None = 0, **changes: Any
) -> PointRecord:
    attempt = attempt_record(verdict=verdict, exit_code=exit_code, seconds=seconds)
    values = {"attempts": (attempt,), "figures": {"duration_s": 3.0}, **changes}
    return point_record(Point("a", "synchronous"), **values)


def test_before_anything_ended_the_scenario_decides() -> None:
    first = limits(max_seconds=3, overhead_seconds=180, seen=())
    assert (first.start_s, first.total_s) == (180, 183)


def test_a_short_point_does_not_wait_for_long() -> None:
    """A demo's points of 18 s: 108 s at most, however patient the scenario is."""
    next_one = limits(3, 600, seen_in([record()], 3))
    assert next_one.total_s == 3 + 15 + SILENCE_S + 30
    assert next_one.start_s == SILENCE_S


def test_a_slow_machine_gets_three_times_its_longest() -> None:
    slow = limits(300, 600, [Seen(20, 9), Seen(100, 40)])
    assert (slow.total_s, slow.start_s) == (300 + 300, 120)


def test_who_never_saw_a_first_request_cannot_miss_it() -> None:
    assert limits(3, 180, [Seen(10, None)]).start_s == 180


@given(SECONDS, SECONDS, st.lists(st.builds(Seen, SECONDS, st.none() | SECONDS), max_size=9))
def test_no_limit_is_beyond_what_the_whole_run_allows_for(
    load: float, overhead: float, seen: list[Seen]
) -> None:
    found = limits(load, overhead, seen)
    assert load <= found.total_s <= load + overhead
    assert found.start_s <= overhead
    assert 2 * found.total_s <= longest_seconds(load, overhead)


@given(SECONDS, st.lists(st.builds(Seen, SECONDS, SECONDS), min_size=1, max_size=9))
def test_a_hang_is_told_from_a_slow_end_before_the_limit(load: float, seen: list[Seen]) -> None:
    found = limits(load, 1e9, seen)
    for one in seen:
        assert found.total_s > load + one.overhead_s + SILENCE_S


def test_only_what_ended_well_says_how_long_a_point_takes() -> None:
    records = [
        record(95, "hung", None),
        record(2, exit_code=1),
        record(attempts=()),  # of a version that did not write attempts down
        record(18),
    ]
    assert seen_in(records, 3) == (Seen(15.0, 7.0),)


def test_requests_that_ran_out_early_leave_a_longer_overhead() -> None:
    assert seen_in([record(18, figures={"duration_s": 1.0})], 60) == (Seen(17.0, 7.0),)
    assert seen_in([record(18, figures=None)], 60) == (Seen(0.0, 7.0),)


@pytest.mark.parametrize(
    ("verdicts", "again"),
    [
        (["hung"], True),
        (["never began"], True),
        (["ended"], False),
        (["timeout"], False),
        (["not started"], False),
        (["hung", "hung"], False),
        (["never began", "hung"], False),
    ],
)
def test_only_a_hang_is_repeated_and_only_once(verdicts: list[str], again: bool) -> None:
    assert is_repeated(verdicts) is again
