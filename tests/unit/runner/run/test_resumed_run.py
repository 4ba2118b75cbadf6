"""Which run goes on, and with which scenario, by what the hosts know."""

from __future__ import annotations

from typing import Any

import pytest
from failing import next_of

from rocminfra.facts.bench_runs import HostRun
from rocminfra.failure import ExitCode, FailedError

OLD, NEW = "20260513T101500Z-3fa9c1", "20260514T101500Z-3fa9c1"
INVENTORY = "inventory/lab.py"


def known(run: str, scenario: str | None) -> HostRun:
    return HostRun(run, "stopped", scenario, 5, 2, 2, None, None, None)


def test_a_run_goes_on_with_its_own_scenario(worker: Any) -> None:
    found = {"a": (known(NEW, "docvqa"), known(OLD, None)), "b": (known(OLD, "smoke"),)}
    assert worker("resumed_run", None, found, INVENTORY) == (NEW, "docvqa")
    assert worker("resumed_run", OLD, found, INVENTORY) == (OLD, "smoke"), (
        "not with the scenario of the settings"
    )


def test_a_scenario_that_the_settings_name_stays_theirs(worker: Any) -> None:
    found = {"a": (known(OLD, "mine"),), "b": (known(OLD, "smoke"),)}
    each = {"a": "mine", "b": "smoke"}
    assert worker("resumed_run", OLD, found, INVENTORY, each) == (OLD, None)
    with pytest.raises(FailedError, match="made with scenario mine, which is no file of"):
        worker("resumed_run", OLD, found, INVENTORY, {"a": None, "b": "smoke"})


def test_of_a_run_that_no_host_knows_nothing_is_said_here(worker: Any) -> None:
    found: dict[str, tuple[HostRun, ...]] = {"a": ()}
    assert worker("resumed_run", OLD, found, INVENTORY) == (OLD, None), "its results may be here"
    with pytest.raises(FailedError, match="no benchmark has run on these hosts"):
        worker("resumed_run", None, found, INVENTORY)


def test_a_scenario_that_is_a_file_of_ones_own_has_to_be_named(worker: Any) -> None:
    found = {"a": (known(OLD, "mine"),)}
    with pytest.raises(FailedError, match="made with scenario mine, which is no file of") as caught:
        worker("resumed_run", OLD, found, INVENTORY)
    failure = caught.value.failure
    assert failure.kind is ExitCode.BENCHMARK
    assert next_of(failure) == (
        f"rocminfra bench -i inventory/lab.py --resume {OLD} --scenario PATH"
    )


def test_hosts_that_do_not_say_which_run_was_the_last_begin_no_new_one(worker: Any) -> None:
    with pytest.raises(FailedError, match="a cannot be reached"):
        worker("resumed_run", None, {}, INVENTORY)
    assert worker("resumed_run", OLD, {}, INVENTORY) == (OLD, None)
