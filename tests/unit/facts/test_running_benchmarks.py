"""Benchmarks that run, as systemd lists their units."""

from __future__ import annotations

from rocminfra.bench.job import UNIT_PREFIX
from rocminfra.facts.running_benchmarks import PREFIX, RunningBenchmarks


def test_the_units_are_those_that_a_run_starts() -> None:
    assert PREFIX == UNIT_PREFIX
    assert f"'{PREFIX}*'" in str(RunningBenchmarks().command())


def test_a_run_is_called_by_its_id() -> None:
    lines = [f"{PREFIX}20260131T093000Z.service loaded active running x", ""]
    assert RunningBenchmarks().process(lines) == ("20260131T093000Z",)
    assert RunningBenchmarks.default() == ()
