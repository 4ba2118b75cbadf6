"""What people read."""

from __future__ import annotations

import pytest

from rocminfra.failure import Do, Fault
from rocminfra.planning.foreseen import Foreseen
from rocminfra.runner.output import run_text
from rocminfra.runner.run.results import (
    Failure,
    HostResult,
    HostState,
    OperationResult,
    Outcome,
    RunResult,
)
from rocminfra.runner.run.status_results import HostStatus, Part

FAILURE = Failure(Fault.DISK_NOT_BLANK, "the disk is not blank", ("blkid: ext4",), Do("--wipe x"))


def result(*hosts: HostResult) -> RunResult:
    return RunResult("plan", "inventory.py", ("deploy.py",), hosts)


def test_a_plan_names_what_would_change(capsys: pytest.CaptureFixture[str]) -> None:
    operations = (
        OperationResult("Scratch disk", Outcome.PENDING),
        OperationResult("Restart", Outcome.CONDITIONAL),
        OperationResult("Docker", Outcome.UNCHANGED),
    )
    run_text.print_plan(result(HostResult("a", HostState.PLANNED, operations)))
    assert capsys.readouterr().out.splitlines() == [
        "a: 1 of 3 operations would change something, 1 may",
        "  + Scratch disk",
        "  ? Restart",
    ]


def test_a_plan_without_changes_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    operations = (OperationResult("Docker", Outcome.UNCHANGED),)
    host = HostResult("a", HostState.PLANNED, operations)
    run_text.print_plan(result(host, HostResult("b", HostState.UNREACHABLE)), verbosity=1)
    assert capsys.readouterr().out.splitlines() == [
        "a: nothing to change (1 operations)",
        "    Docker",
        "b: cannot be reached",
    ]


def test_a_failure_has_its_most_important_line_last(capsys: pytest.CaptureFixture[str]) -> None:
    run_text.print_failures([HostResult("a", HostState.FAILED, (), (FAILURE,))])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "",
        "    blkid: ext4",
        "a: the disk is not blank [RI-501]",
        "next: --wipe x",
    ]


def test_a_summary_has_a_line_for_every_host(capsys: pytest.CaptureFixture[str]) -> None:
    done = HostResult("a", HostState.DONE, (OperationResult("x", Outcome.CHANGED, 61.0),))
    failed = HostResult("lab-2", HostState.FAILED, (OperationResult("x", Outcome.FAILED, 0.1),))
    run_text.print_summary(result(done, failed))
    assert capsys.readouterr().out.splitlines() == [
        "a      done    1 changed  0 unchanged  0 failed  0 not run  1 min 1 s",
        "lab-2  failed  0 changed  0 unchanged  1 failed  0 not run  0.1 s",
    ]


def test_a_status_shows_good_and_bad_parts(capsys: pytest.CaptureFixture[str]) -> None:
    parts = {"scratch": Part(True, "/dev/vdc"), "engine": Part(False, "dead")}
    run_text.print_status([HostStatus("a", parts)])
    assert capsys.readouterr().out.splitlines() == [
        "a",
        "  ok  scratch  /dev/vdc",
        "  !!  engine   dead",
    ]


def test_a_plan_says_what_changes_how_long_and_for_how_much(
    capsys: pytest.CaptureFixture[str],
) -> None:
    operation = OperationResult(
        "vllm.service",
        Outcome.PENDING,
        foreseen=(
            Foreseen("--max-num-seqs 64 → 32"),
            Foreseen("restarts vllm.service: it does not serve", restarts="vllm.service"),
            Foreseen("changes /etc/x", (" a", "-b", "+c")),
        ),
    )
    host = HostResult(
        "a",
        HostState.PLANNED,
        (operation,),
        foreseen=(Foreseen("toy fits", weights_bytes=90_000_000_000),),
        usd_per_hour=20.0,
    )
    run_text.print_plan(result(host))
    assert capsys.readouterr().out.splitlines() == [
        "a: 1 of 1 operations would change something",
        "  + vllm.service",
        "      --max-num-seqs 64 → 32",
        "      restarts vllm.service: it does not serve",
        "      changes /etc/x",
        "         a",
        "        -b",
        "        +c",
        "  toy fits",
        "  about 3 min 0 s, $1.00 at $20.00 an hour: 3 min 0 s to start the engine",
    ]


def test_a_plan_without_changes_costs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    operation = OperationResult("x", Outcome.UNCHANGED)
    found = (Foreseen("toy fits", weights_bytes=90_000_000_000),)
    host = HostResult("a", HostState.PLANNED, (operation,), foreseen=found, usd_per_hour=20.0)
    run_text.print_plan(result(host))
    assert "$" not in capsys.readouterr().out


def test_somebody_elses_endless_line_fits_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    endless = Failure(Fault.OPERATION_FAILED, "it failed", ("a" * 5000,))
    run_text.print_failures([HostResult("a", HostState.FAILED, (), (endless,))])
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) < 400
    assert any("more letters" in line for line in lines)
