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
    parts,
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


def run_all(stages: tuple[Stage, ...]) -> list[Point]:
    done: dict[str, Finished] = {}
    ran: list[Point] = []
    while todo := next_points(stages, done):
        ran.append(todo[0])
        done[todo[0].name] = Finished(todo[0].name, "valid", float(len(ran)))
    return ran


def test_repeats_come_after_all_points_of_their_stage_and_have_their_own_names() -> None:
    stages = (Stage("concurrent", streams=(1, 2), repeat=2), Stage("throughput", repeat=2))
    ran = run_all(stages)
    assert [point.name for point in ran] == [
        *("01-concurrent-1", "01-concurrent-2"),
        *("01-concurrent-1-again-2", "01-concurrent-2-again-2"),
        *("02-throughput", "02-throughput-again-2"),
    ]
    assert tuple(point.name for point in ran) == planned_names(stages)
    assert [point.label for point in ran[:3]] == [
        "concurrent@1",
        "concurrent@2",
        "concurrent@1 #2",
    ]


def test_a_repeated_sweep_has_the_rates_of_the_first() -> None:
    ran = run_all((Stage("sweep", size=4, repeat=3),))
    assert len(ran) == 12
    rates = [point.rate for point in ran]
    assert rates[0:4] == rates[4:8] == rates[8:12]


def test_a_native_stage_is_one_process() -> None:
    stages = (Stage("sweep", size=4, native=True), Stage("goodput"))
    ran = run_all(stages)
    assert [(point.name, point.stage) for point in ran] == [("01-sweep", 1), ("02-goodput", 2)]


def test_the_parts_of_a_native_sweep_have_the_names_of_one_point_by_point() -> None:
    native = (Stage("sweep", size=4, native=True, repeat=2),)
    strategies = [
        {"type_": "synchronous"},
        {"type_": "throughput", "max_concurrency": 512, "rampup_duration": 0.0},
        {"type_": "constant", "rate": 2.0, "max_concurrency": 512},
        {"type_": "constant", "rate": 3.0, "max_concurrency": 512},
    ]
    processes = run_all(native)
    found = [part for process in processes for part in parts(native, process, strategies)]
    assert tuple(part.name for part in found) == planned_names(native)
    assert planned_names(native) == planned_names((Stage("sweep", size=4, repeat=2),))
    assert [part.label for part in found[:4]] == [
        *("synchronous", "throughput", "constant@2.00", "constant@3.00"),
    ]
    assert found[4].label == "synchronous #2"


def test_the_parts_of_a_search_are_named_by_what_it_probed() -> None:
    stages = (Stage("goodput", options={"initial_streams": 4}),)
    (process,) = run_all(stages)
    found = parts(stages, process, [{"type_": "concurrent", "streams": n} for n in (4, 8, 6)])
    assert [part.name for part in found] == [
        *("01-goodput-01-concurrent-4", "01-goodput-02-concurrent-8"),
        "01-goodput-03-concurrent-6",
    ]
    assert planned_names(stages) == ("01-goodput-01-concurrent-4",)
    knee = (Stage("knee", streams=(1, 2, 4, 8, 16)),)
    (process,) = run_all(knee)
    found = parts(knee, process, [{"type_": "concurrent", "streams": n} for n in knee[0].streams])
    assert tuple(part.name for part in found) == planned_names(knee)


def test_bursts_say_how_many_and_how_often() -> None:
    (point,) = run_all((Stage("bursts", burst_requests=16, every_seconds=10),))
    assert (point.name, point.label) == ("01-bursts-16", "bursts@16/10s")


def test_rates_that_are_almost_equal_are_points_of_their_own() -> None:
    rates = (0.5, 1.0000001, 1.0000002, 1234567.0, 1234568.0)
    names = planned_names((Stage("constant", rates=rates),))
    assert len(set(names)) == len(rates)
    assert names[0] == "01-constant-0.5", "as in runs of earlier versions"


@pytest.mark.parametrize(
    ("rate", "label"),
    [(0.84371, "0.84"), (86.5, "86.50"), (0.5, "0.50"), (0.001, "0.001"), (0.00512, "0.00512")],
)
def test_a_label_says_the_rate_and_not_zero(rate: float, label: str) -> None:
    assert Point("a", "constant", rate=rate).label == f"constant@{label}"
