"""Which run goes on, and with which scenario, by what the hosts know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from failing import next_of

from rocminfra.facts.bench_runs import HostRun
from rocminfra.failure import ExitCode, FailedError
from rocminfra.runner.run import bench_runs
from rocminfra.runner.run.options import Options

OLD, NEW = "20260513T101500Z-3fa9c1", "20260514T101500Z-3fa9c1"
OPTIONS = Options("inventory/lab.py")


def known(run: str, scenario: str | None) -> HostRun:
    return HostRun(run, "stopped", scenario, 5, 2, 2, None, None, None)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[HostRun, ...]]:
    runs: dict[str, tuple[HostRun, ...]] = {}

    @contextmanager
    def session(*_: Any) -> Iterator[None]:
        yield None

    monkeypatch.setattr(bench_runs, "_session", session)
    monkeypatch.setattr(bench_runs, "_runs", lambda _: runs)
    return runs


def resumed(run: str | None) -> tuple[str, str | None]:
    return bench_runs.resumed_run(run, OPTIONS, None)  # type: ignore[arg-type]


def test_a_run_goes_on_with_its_own_scenario(found: dict[str, tuple[HostRun, ...]]) -> None:
    found["a"] = (known(NEW, "docvqa"), known(OLD, None))
    found["b"] = (known(OLD, "smoke"),)
    assert resumed(None) == (NEW, "docvqa")
    assert resumed(OLD) == (OLD, "smoke"), "not with the scenario of the settings"


def test_of_a_run_that_no_host_knows_nothing_is_said_here(
    found: dict[str, tuple[HostRun, ...]],
) -> None:
    found["a"] = ()
    assert resumed(OLD) == (OLD, None), "its results may be here"
    with pytest.raises(FailedError, match="no benchmark has run on these hosts"):
        resumed(None)


def test_a_scenario_that_is_a_file_of_ones_own_has_to_be_named(
    found: dict[str, tuple[HostRun, ...]],
) -> None:
    found["a"] = (known(OLD, "mine"),)
    with pytest.raises(FailedError, match="made with scenario mine, which is no file of") as caught:
        resumed(OLD)
    failure = caught.value.failure
    assert failure.kind is ExitCode.BENCHMARK
    assert next_of(failure) == (
        f"rocminfra bench -i inventory/lab.py --resume {OLD} --scenario PATH"
    )
