"""A benchmark ends with its report: path and verdict last, whatever becomes of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import recorded_runs

from rocminfra.bench.results import digests_below, verified
from rocminfra.planning.bench.manifest import MANIFEST
from rocminfra.report.reading import folder as reading
from rocminfra.runner.output import run_reports
from rocminfra.runner.output.report_files import Written
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


def test_what_a_run_has_verified_is_not_hashed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded_runs.copy("demo", tmp_path / "run")
    host = run / "demo"
    digests = {name: one for name, one in digests_below(host).items() if name != MANIFEST}
    one = HostResult(
        "demo", HostState.DONE, results_folder=str(host), verified=verified(host, digests)
    )
    hashed: list[object] = []
    sha256 = hashlib.sha256
    monkeypatch.setattr(reading.hashlib, "sha256", lambda *_: hashed.append(1) or sha256())
    monkeypatch.setattr(
        run_reports, "write_report", lambda report, folder: Written(folder, (), None)
    )
    assert len(run_reports.reported(RunResult("bench", "inventory", (), (one,)))) == 2
    assert hashed == []
    run_reports.reported(result(host))
    assert len(hashed) == len(digests), "nobody has verified these"
