"""A benchmark ends with its report: path and verdict last, whatever becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import recorded_runs

from rocminfra.runner.output import run_reports
from rocminfra.runner.run.results import HostResult, HostState, RunResult


def result(*folders: Path | None) -> RunResult:
    hosts = tuple(
        HostResult(f"h{number}", HostState.DONE, results_folder=folder and str(folder))
        for number, folder in enumerate(folders)
    )
    return RunResult("bench", "inventory", (), hosts)


def test_several_hosts_of_one_run_are_one_report(tmp_path: Path) -> None:
    run = recorded_runs.copy("demo", tmp_path / "run")
    (run / "demo").rename(run / "a")
    recorded_runs.copy("failing", tmp_path / "other")
    (tmp_path / "other" / "figures").rename(run / "b")
    lines = run_reports.reported(result(run / "a", run / "b", None))
    assert lines[0] == f"report: {run / 'report' / 'report.html'}"
    assert lines[1].startswith("INVALID on figures; demo: serves up to 107 requests/s")
    assert "figures: INVALID: no point is valid" in lines[1]
    assert len(lines) == 2
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert page.index("INVALID") < page.index("serves up to 107 requests/s")


def test_no_results_no_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_reports.reported(result(None)) == []
    assert capsys.readouterr() == ("", "")


def test_trouble_with_a_report_is_reported_and_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run" / "host").mkdir(parents=True)
    assert run_reports.reported(result(tmp_path / "run" / "host")) == []
    assert "holds no results of a benchmark" in capsys.readouterr().err

    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(run_reports, "make_report", broken)
    assert run_reports.reported(result(tmp_path / "run" / "host")) == []
    said = capsys.readouterr().err
    assert "no report: RuntimeError: a fault of ours" in said
    assert said.rstrip().endswith(f"next: rocminfra report {tmp_path / 'run'}")
