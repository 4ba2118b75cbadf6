"""A plan that is kept is applied as it is, or not at all."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from failing import next_of

from rocminfra.failure import ExitCode, FailedError
from rocminfra.planning.foreseen import Foreseen
from rocminfra.runner.run import plan_file
from rocminfra.runner.run.options import Options
from rocminfra.runner.run.results import HostResult, HostState, OperationResult, Outcome, RunResult

OPTIONS = Options("hosts.py", ("gpu-1",), ("vllm.max_num_seqs=32",), ("a:b:c",), ("deploy.py",))


def planned(*operations: OperationResult, name: str = "gpu-1") -> RunResult:
    host = HostResult(name, HostState.PLANNED, operations)
    return RunResult("plan", "hosts.py", ("deploy.py",), (host,))


def operation(
    name: str, *foreseen: Foreseen, outcome: Outcome = Outcome.PENDING
) -> OperationResult:
    return OperationResult(name, outcome, foreseen=foreseen)


UNIT = operation("unit", Foreseen("changes /etc/x", ("-a", "+b"), digest="1 2"))
DISK = operation("disk", outcome=Outcome.UNCHANGED)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "plan.json"
    plan_file.write(path, OPTIONS, planned(UNIT, DISK))
    return path


def test_options_come_back_as_they_were_given_and_others_cannot_read_them(file: Path) -> None:
    assert plan_file.read(file).options == OPTIONS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_same_plan_is_fine(file: Path) -> None:
    plan_file.refuse_what_changed(file, plan_file.read(file), planned(UNIT, DISK))


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (planned(UNIT, replace(DISK, outcome=Outcome.PENDING)), "'disk' would change something as"),
        (planned(DISK), "'unit' has nothing to do any more"),
        (planned(operation("unit", Foreseen("changes /etc/x", ("-a", "+c")))), "something else"),
        # A private file, whose text is in no plan, has another text now.
        (planned(operation("unit", replace(UNIT.foreseen[0], digest="1 3"))), "something else"),
        (planned(UNIT, name="gpu-2"), "gpu-1: is not in the inventory any more"),
    ],
)
def test_another_plan_is_refused_with_what_differs(now: RunResult, why: str, file: Path) -> None:
    with pytest.raises(FailedError) as caught:
        plan_file.refuse_what_changed(file, plan_file.read(file), now)
    assert caught.value.failure.kind is ExitCode.REFUSED
    assert any(why in line for line in caught.value.failure.why)
    command = "rocminfra plan -i hosts.py --limit gpu-1 --data vllm.max_num_seqs=32 deploy.py"
    assert next_of(caught.value) == f"{command} --out {file}"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "options": {"x": 1}}']
)
def test_what_is_no_plan_is_said_so(text: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(FailedError, match="no plan that can be applied"):
        plan_file.read(file)


def test_a_plan_of_another_folder_is_refused(file: Path) -> None:
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "folder": "/elsewhere"}))
    with pytest.raises(FailedError, match="planned in another folder") as caught:
        plan_file.read(file)
    assert next_of(caught.value) == "cd /elsewhere"
