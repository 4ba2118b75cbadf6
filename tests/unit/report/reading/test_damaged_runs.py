"""Damaged result folders: a reason each, never a traceback, never a number that nobody measured."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import recorded_runs
from recorded_runs import edit, host_of, vouch

from rocminfra.failure import ExitCode, FailedError
from rocminfra.report.figures.report import make_report
from rocminfra.report.point_report import PointReport
from rocminfra.report.summary import Report
from rocminfra.report.summary_json import document, dump
from rocminfra.report.tables import csv_text, markdown_text

POINT = "01-concurrent-4"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return recorded_runs.copy("demo", tmp_path / "20261128T222237Z")


def point_of(report: Report, name: str = POINT) -> PointReport:
    point = report.hosts[0].point(name)
    assert point is not None
    return point


def written(report: Report) -> str:
    """Every text output of a report; also proves that JSON holds no NaN."""
    parsed = json.loads(dump(report), parse_constant=lambda name: pytest.fail(name))
    assert parsed == document(report)
    return csv_text(report) + markdown_text(report)


def test_the_recorded_run_is_valid(run: Path) -> None:
    report = make_report(run)
    (host,) = report.hosts
    assert report.is_valid
    assert [host.valid, host.total] == [5, 5]
    assert host.warnings == (
        "the load generator ran on the serving host itself and shared its 2 cores",
    )
    figures = point_of(report).figures
    assert figures is not None
    assert (figures.completed, figures.incomplete) == (155, 3)
    assert figures.ttft_s.p95 == pytest.approx(0.013547, abs=1e-6)
    assert figures.kv_usage_max == pytest.approx(0.006526, abs=1e-6)
    assert report.verdict.startswith("serves up to 107 requests/s with TTFT p95 under 2 s; $0.0284")
    written(report)


def _cut(name: str) -> Callable[[Path], None]:
    def change(point: Path) -> None:
        data = (point / name).read_bytes()
        (point / name).write_bytes(data[: len(data) // 2])

    return change


def _report(change: Callable[[dict[str, object]], None]) -> Callable[[Path], None]:
    return lambda point: edit(point / "report.json", lambda value: change(value))


def _set(keys: tuple[object, ...], to: object) -> Callable[[Path], None]:
    def change(value: object) -> None:
        for key in keys[:-1]:
            value = value[key]  # type: ignore[index]
        value[keys[-1]] = to  # type: ignore[index]

    return _report(change)


TTFT = ("benchmarks", 0, "metrics", "time_to_first_token_ms", "successful")
TOTALS = ("benchmarks", 0, "metrics", "request_totals")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_cut("report.json"), "report.json cannot be used: report.json is not JSON"),
        (lambda point: (point / "report.json").unlink(), "report.json is missing"),
        (lambda point: (point / "report.json").write_text("[]"), "is not a JSON object"),
        (lambda point: (point / "report.json").write_bytes(b"\xff\xfe"), "cannot be read"),
        (_set(("metadata", "version"), 1), "report version 1, 2 expected"),
        (_set(("metadata", "version"), 3), "report version 3, 2 expected"),
        (_set(("benchmarks",), []), "0 benchmarks in the report"),
        (_set(("benchmarks", 0, "metrics"), None), "the report has no 'metrics'"),
        (_set((*TTFT, "median"), math.nan), "median is nan, which is not a number"),
        (_set((*TTFT, "median"), -1.75e12), "below 0"),
        (_set((*TTFT, "percentiles"), "none"), "it has no percentiles"),
        (_set((*TOTALS, "successful"), 0), "no request was completed"),
        (_set((*TOTALS, "successful"), "many"), "a number expected"),
        (_set((*TOTALS, "successful"), 154), "point.json says 155 requests completed"),
    ],
)
def test_a_damaged_report_makes_its_point_invalid(
    run: Path, change: Callable[[Path], None], reason: str
) -> None:
    change(host_of(run) / POINT)
    vouch(run)
    report = make_report(run)
    point = point_of(report)
    assert point.outcome == "invalid"
    assert any(reason in text for text in point.reasons), point.reasons
    assert point.cost is None
    assert point.energy is None
    assert report.hosts[0].valid == 4
    assert "valid: 4 of 5 points" in report.verdict
    written(report)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "point.json is not JSON"),
        ('{"version": 9}', "point.json has version 9"),
        ('{"point": 3}', "point.json: point is not a JSON object"),
        ("null", "point.json is not a JSON object"),
    ],
)
def test_a_damaged_record_makes_its_point_failed(run: Path, text: str, reason: str) -> None:
    (host_of(run) / POINT / "point.json").write_text(text)
    report = make_report(run)
    point = point_of(report)
    assert point.outcome == "failed"
    assert reason in point.reasons[0]
    assert point.figures is None
    written(report)


def test_a_point_that_was_cut_off_and_one_whose_folder_is_gone(run: Path) -> None:
    host = host_of(run)
    (host / POINT / "point.json").unlink()
    for file in (host / "02-sweep-throughput").iterdir():
        file.unlink()
    (host / "02-sweep-throughput").rmdir()
    report = make_report(run)
    assert "the point was cut off" in point_of(report).reasons[0]
    assert "its folder is missing" in point_of(report, "02-sweep-throughput").reasons[0]
    assert report.hosts[0].saturation == "02-sweep-constant-2"
    assert any("saturation may lie above" in text for text in report.hosts[0].warnings)
    written(report)


def test_a_changed_figure_is_found_by_the_manifest(run: Path) -> None:
    _set((*TTFT, "median"), 7.2)(host_of(run) / POINT)
    point = point_of(make_report(run))
    assert point.outcome == "invalid"
    assert "median is 7.2 and p50 7.15" in point.reasons[0]
    assert "not the file that was collected: report.json: SHA-256" in point.reasons[1]


def test_a_partial_run_says_what_is_missing(run: Path) -> None:
    host = host_of(run)
    (host / "PARTIAL").write_text("02-sweep-constant-2: missing\n")
    (host / "run.json").unlink()
    for name in ("02-sweep-constant-1", "02-sweep-constant-2", "02-sweep-throughput"):
        for file in (host / name).iterdir():
            file.unlink()
        (host / name).rmdir()
    vouch(run)
    report = make_report(run)
    (found,) = report.hosts
    assert (found.valid, found.total) == (2, 5)
    assert not report.is_valid
    assert (
        report.verdict == "INVALID: only 2 of 5 points are valid; 02-sweep-throughput: it never ran"
    )
    assert found.economics is None
    assert found.knee is None
    assert "incomplete: 02-sweep-constant-2: missing" in found.warnings
    assert any("did not come to its end" in text for text in found.warnings)
    assert "$0" not in written(report)


@pytest.mark.parametrize("name", ["job.json", "run.json", "MANIFEST.sha256"])
@pytest.mark.parametrize("text", [None, "", "{", "[1]", '{"version": 7}'])
def test_a_damaged_record_of_the_run_is_a_warning(run: Path, name: str, text: str | None) -> None:
    path = host_of(run) / name
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    report = make_report(run)
    assert any(name in warning for warning in report.hosts[0].warnings), report.hosts[0].warnings
    written(report)


@pytest.mark.parametrize("name", ["metrics.jsonl", "telemetry.jsonl"])
def test_damaged_samples_are_pointed_out(run: Path, name: str) -> None:
    path = host_of(run) / POINT / name
    lines = path.read_text().splitlines()
    lines[3:5] = ['{"time": NaN}', '{"ti', "7", ""]
    path.write_text("\n".join(lines))
    vouch(run)
    report = make_report(run)
    point = point_of(report)
    assert point.is_valid
    assert f"3 lines of {name} cannot be read" in point.warnings
    written(report)


def test_a_gap_in_the_samples_and_a_clock_that_goes_back(run: Path) -> None:
    path = host_of(run) / POINT / "metrics.jsonl"
    samples = [json.loads(line) for line in path.read_text().splitlines()]
    samples[4]["time"] -= 5
    samples[-1]["time"] += 60
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    vouch(run)
    warnings = point_of(make_report(run)).warnings
    assert "the clock went back 1 times in metrics.jsonl" in warnings
    assert "metrics.jsonl has a gap of 61 s" in warnings


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FailedError) as caught:
        make_report(tmp_path / "nowhere")
    assert caught.value.failure.kind == ExitCode.SETTINGS
    assert caught.value.failure.what == f"there is no folder {tmp_path / 'nowhere'}"
    (tmp_path / "empty").mkdir()
    with pytest.raises(FailedError, match="holds no results of a benchmark"):
        make_report(tmp_path / "empty")


def test_text_from_a_host_is_escaped(run: Path) -> None:
    host = host_of(run)
    edit(host / "run.json", lambda value: value["provenance"].update(kernel="<script>|`x`*"))
    edit(host / POINT / "point.json", lambda value: value.update(reasons=["=cmd|'/c calc'!A1"]))
    report = make_report(run)
    text = markdown_text(report)
    assert "<script>" not in text
    assert "\\<script\\>\\|\\`x\\`\\*" in text
    assert "\n=cmd" not in csv_text(report)
    assert ",=cmd" not in csv_text(report)
