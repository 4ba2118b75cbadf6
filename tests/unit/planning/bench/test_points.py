"""A scenario becomes points; a sweep's later points depend on the first two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.planning.bench.points import (
    Finished,
    Point,
    Stage,
    never_run,
    next_points,
    planned_names,
    sweep_rates,
)

SWEEP = (Stage("sweep", size=5, max_concurrency=32),)


def measured(name: str, rate: float | None, outcome: str = "valid") -> dict[str, Finished]:
    return {name: Finished(name, outcome, rate)}  # type: ignore[arg-type]


def names(points: tuple[Point, ...]) -> list[str]:
    return [point.name for point in points]


def test_concurrent_streams_are_a_point_each() -> None:
    points = next_points((Stage("concurrent", streams=(1, 64)),), {})
    assert [(point.name, point.streams) for point in points] == [
        ("01-concurrent-1", 1),
        ("01-concurrent-64", 64),
    ]


def test_a_sweep_begins_with_one_request_at_a_time() -> None:
    (point,) = next_points(SWEEP, {})
    assert (point.kind, point.rate, point.max_concurrency) == ("synchronous", None, None)


def test_its_second_point_is_throughput() -> None:
    (point,) = next_points(SWEEP, measured("01-sweep-synchronous", 2.0))
    assert (point.kind, point.max_concurrency) == ("throughput", 32)


def test_its_rates_lie_between_the_measured_ones_and_end_at_the_highest() -> None:
    done = {
        **measured("01-sweep-synchronous", 2.0),
        **measured("01-sweep-throughput", 8.0),
    }
    points = next_points(SWEEP, done)
    assert [point.rate for point in points] == [4.0, 6.0, 8.0]
    assert {point.kind for point in points} == {"constant"}
    assert {point.max_concurrency for point in points} == {32}


@pytest.mark.parametrize("outcome", ["invalid", "failed"])
@pytest.mark.parametrize("broken", ["01-sweep-synchronous", "01-sweep-throughput"])
def test_without_both_measured_rates_a_sweep_goes_no_further(broken: str, outcome: str) -> None:
    done: dict[str, Finished] = {}
    while points := next_points(SWEEP, done):
        bad = points[0].name == broken
        done.update(measured(points[0].name, 2.0, outcome if bad else "valid"))
    assert all("constant" not in name for name in done)
    assert set(never_run(SWEEP, done)) >= {"01-sweep-constant-1", "01-sweep-constant-3"}


def test_a_broken_sweep_does_not_stop_what_follows_it() -> None:
    stages = (*SWEEP, Stage("concurrent", streams=(4,)))
    done = measured("01-sweep-synchronous", None, "failed")
    assert names(next_points(stages, done)) == ["02-concurrent-4"]


def test_what_is_finished_never_comes_again() -> None:
    stages = (Stage("concurrent", streams=(1, 2)), Stage("throughput"))
    done = measured("01-concurrent-1", 1.0)
    assert names(next_points(stages, done)) == ["01-concurrent-2"]


def test_names_do_not_depend_on_what_is_measured() -> None:
    stages = (Stage("synchronous"), *SWEEP)
    done: dict[str, Finished] = {}
    rate = 1.0
    while points := next_points(stages, done):
        rate *= 1.7
        done.update(measured(points[0].name, rate))
    assert tuple(done) == planned_names(stages)
    assert never_run(stages, done) == ()


def test_guidellm_names_a_point_like_its_console() -> None:
    assert Point("a", "concurrent", streams=64).label == "concurrent@64"
    assert Point("a", "constant", rate=0.837).label == "constant@0.84"
    assert Point("a", "throughput", max_concurrency=512).label == "throughput"


def test_rates_that_are_not_positive_end_a_sweep() -> None:
    assert sweep_rates(0.5, 0.0, 4) == (0.25,)


@given(
    slow=st.floats(0.001, 100),
    factor=st.floats(1, 1000),
    size=st.integers(min_value=3, max_value=30),
)
def test_rates_rise_evenly_to_the_throughput_rate(slow: float, factor: float, size: int) -> None:
    fast = slow * factor
    rates = sweep_rates(slow, fast, size)
    assert len(rates) == size - 2
    assert rates[-1] == pytest.approx(fast)
    assert all(slow <= rate <= fast * (1 + 1e-9) for rate in rates)
    assert list(rates) == sorted(rates)


@given(
    outcomes=st.lists(
        st.tuples(st.sampled_from(["valid", "invalid", "failed"]), st.floats(0.1, 50)),
        min_size=40,
        max_size=40,
    ),
    size=st.integers(3, 8),
)
def test_every_scenario_ends_and_no_point_runs_twice(
    outcomes: list[tuple[str, float]], size: int
) -> None:
    stages = (
        Stage("sweep", size=size),
        Stage("concurrent", streams=(1, 2)),
        Stage("sweep", size=3),
    )
    done: dict[str, Finished] = {}
    for outcome, rate in outcomes:
        points = next_points(stages, done)
        if not points:
            break
        assert points[0].name not in done
        done.update(measured(points[0].name, rate, outcome))
    assert next_points(stages, done) == ()
    assert set(done) <= set(planned_names(stages))
