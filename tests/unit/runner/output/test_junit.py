"""JUnit and step summary: what CI shows of a run."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from rocminfra.failure import ExitCode, FailedError, Failure, Fault
from rocminfra.report.table import Row
from rocminfra.runner.output.junit import Case, run_cases, status_cases, write
from rocminfra.runner.output.step_summary import append, case_lines
from rocminfra.runner.run.results import (
    HostResult,
    HostState,
    OperationResult,
    Outcome,
    RunResult,
)
from rocminfra.runner.run.status_results import HostStatus, Part

REFUSED = Failure(Fault.DISK_NOT_BLANK, "the disk is not blank", ("it has a partition table",))
HOST = HostResult(
    "a",
    HostState.FAILED,
    (
        OperationResult("Scratch disk", Outcome.CHANGED, 2.5),
        OperationResult("Docker", Outcome.FAILED, 1.0, ("no \x1b[31mroom\x00 left",)),
        OperationResult("Engine", Outcome.NOT_RUN),
    ),
    (REFUSED,),
)
POINTS = (
    Row("a", "concurrent@1", "valid", ()),
    Row("a", "concurrent@64", "invalid", ("nothing completed",)),
)


def read(path: Path) -> ElementTree.Element:
    return ElementTree.parse(path).getroot()


def test_every_operation_point_and_failure_is_a_case(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "junit.xml"
    write(file, "apply", run_cases(RunResult("apply", "i", (), (HOST,)), POINTS))
    (suite,) = read(file)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("6", "3", "1")
    assert suite.get("time") == "3.500"
    failed = {case.get("name"): case[0].get("message") for case in suite if len(case)}
    assert failed == {
        "Docker": "no �[31mroom� left",
        "Engine": None,
        "the disk is not blank": "the disk is not blank",
        "concurrent@64": "invalid",
    }


def test_a_benchmark_that_followed_and_a_command_that_failed() -> None:
    then = RunResult("bench", "i", (), (HostResult("a", HostState.UNREACHABLE),), error=REFUSED)
    cases = run_cases(RunResult("apply", "i", (), (), then=then), ())
    assert [(case.suite, case.name) for case in cases] == [
        ("a", "the host"),
        ("bench", "the command itself"),
    ]


def test_a_status(tmp_path: Path) -> None:
    hosts = (HostStatus("a", {"disk": Part(True, "mounted"), "engine": Part(False, "silent")}),)
    file = tmp_path / "junit.xml"
    write(file, "status", status_cases(hosts, None))
    (suite,) = read(file)
    assert [len(case) for case in suite] == [0, 1]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FailedError) as caught:
        write(tmp_path / "file" / "junit.xml", "apply", [Case("a", "b")])
    assert caught.value.failure.kind is ExitCode.SETTINGS


def test_a_step_summary_only_where_ci_wants_one(tmp_path: Path) -> None:
    cases = run_cases(RunResult("apply", "i", (), (HOST,)), POINTS)
    append({}, "t", case_lines(cases))
    file = tmp_path / "summary.md"
    append({"GITHUB_STEP_SUMMARY": str(file)}, "rocminfra apply", case_lines(cases))
    text = file.read_text()
    assert "### rocminfra apply" in text
    assert "a: 3 of 6 well" in text
    assert "  concurrent@64: invalid" in text
    append({"GITHUB_STEP_SUMMARY": str(tmp_path)}, "t", ["x"])  # no reason to fail
