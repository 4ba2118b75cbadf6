"""One rule for a connection that is lost in a run: exit code 4, whatever it looked like."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rocminfra.failure import Do, ExitCode, Failure, Fault, most_severe
from rocminfra.runner.run.host_results import through_lost_connection
from rocminfra.runner.run.session import Progress, _Callbacks


@pytest.mark.parametrize(
    "fault",
    [Fault.OPERATION_FAILED, Fault.BENCHMARK_INVALID, Fault.RUN_ENDED_EARLY, Fault.LOCK_NOT_TAKEN],
)
def test_what_came_of_the_loss_is_evidence_and_the_code_is_4(fault: Fault) -> None:
    found = Failure(fault, "no answer", ("EOF",), Do("rocminfra bench --resume x"))
    (lost,) = through_lost_connection("gpu-1", [found], "rocminfra apply")
    assert lost.kind is ExitCode.UNREACHABLE
    assert lost.why == ("EOF", "no answer")
    assert lost.next == Do("rocminfra bench --resume x")
    bare = through_lost_connection("gpu-1", [Failure(fault, "no answer")], "rocminfra apply")
    assert bare[0].next == Do("rocminfra apply")


@pytest.mark.parametrize("fault", [Fault.DISK_NOT_BLANK, Fault.SETTINGS_INVALID, Fault.GPU_MISSING])
def test_what_was_decided_before_stays(fault: Fault) -> None:
    decided = Failure(fault, "decided")
    assert through_lost_connection("gpu-1", [decided], "x") == (decided,)
    both = through_lost_connection("gpu-1", [decided, Failure(Fault.OPERATION_FAILED, "y")], "x")
    assert [failure.fault for failure in both] == [fault, Fault.CONNECTION_LOST]
    assert most_severe(failure.kind for failure in both) is fault.kind


def test_a_loss_that_was_told_is_told_once() -> None:
    told = Failure(Fault.CONNECTION_LOST, "lost during 'x'")
    assert through_lost_connection("gpu-1", [told], "x") == (told,)


class State:
    """As much of pyinfra's as the callbacks look at."""

    def __init__(self, active: int) -> None:
        self.active_hosts = set(range(active))


@pytest.mark.parametrize(("active", "told"), [(2, ["gpu-1"]), (1, [])])
def test_a_host_that_fails_is_named_while_the_others_still_work(
    active: int, told: list[str]
) -> None:
    """One that is busy is refused in a second; a benchmark of the others takes an hour."""
    said: list[str] = []
    progress = Progress(print, print, print)
    callbacks = _Callbacks(progress, lambda host: said.append(host.name))
    host: Any = SimpleNamespace(name="gpu-1", connector_data={})
    state: Any = State(active)
    callbacks.operation_host_error(state, host, "op")
    assert said == told
