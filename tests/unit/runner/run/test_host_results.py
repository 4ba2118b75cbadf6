"""One rule for a connection that is lost in a run: exit code 4, whatever it looked like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rocminfra.failure import Do, ExitCode, Failure, Fault, most_severe
from rocminfra.runner.run.host_results import through_lost_connection

ROOT = Path(__file__).parents[4]


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


# In a process of its own: pyinfra's command patches the standard library when it is imported.
BUSY = """
from types import SimpleNamespace
from rocminfra.runner.run.session import Progress, _Callbacks
for active in (2, 1):
    said = []
    callbacks = _Callbacks(Progress(print, print, print), lambda host: said.append(host.name))
    host = SimpleNamespace(name="gpu-1", connector_data={})
    callbacks.operation_host_error(SimpleNamespace(active_hosts=set(range(active))), host, "op")
    print(said)
"""


def test_a_host_that_fails_is_named_while_the_others_still_work() -> None:
    """One that is busy is refused in a second; a benchmark of the others takes an hour."""
    done = subprocess.run(
        [sys.executable, "-c", BUSY], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines() == ["['gpu-1']", "[]"]
