"""A stage in one process: its report becomes points, and it is repeated as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import FakeEngine, calls, job, profiles, scenario, set_modes, set_strategies

from rocminfra.host.bench.control_group import ProcessGroups
from rocminfra.host.bench.run_status import status
from rocminfra.host.bench.stage import readable
from rocminfra.host.bench.whole_run import run
from rocminfra.planning.bench.outcome_records import RunRecord
from rocminfra.planning.bench.retry import Patience
from rocminfra.report.reading.folder import read_hosts
from rocminfra.report.table import lines, read_table

PATIENCE = Patience(silence_s=0.6, idle_s=0.5, look_s=0.05)
SWEEP = {"profile": "sweep", "size": 4, "native": True}
STRATEGIES: list[dict[str, Any]] = [
    {"type_": "synchronous"},
    {"type_": "throughput", "max_concurrency": 512},
    {"type_": "constant", "rate": 3.0, "max_concurrency": 512},
    {"type_": "constant", "rate": 4.0, "max_concurrency": 512},
]
PROBES = [{"type_": "concurrent", "streams": streams} for streams in (4, 8)]


class Native:
    """A run of a scenario with a native stage."""

    def __init__(self, folder: Path, program: Path, engine: FakeEngine) -> None:
        self._tmp, self.program, self._engine = folder, program, engine
        set_strategies(program, sweep=STRATEGIES, goodput=PROBES)

    def go(self, *stages: dict[str, Any], **changes: Any) -> RunRecord:
        made = job(
            self._tmp / "runs", self.program, self._engine, scenario(list(stages), **changes)
        )
        self.folder = Path(made.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "job.json").write_text(made.text)
        return run(self.folder, ProcessGroups(grace_s=0.2), PATIENCE)


@pytest.fixture
def native(tmp_path: Path, engine: FakeEngine, program: Path) -> Native:
    return Native(tmp_path, program, engine)


def test_a_native_sweep_is_one_process_and_a_point_for_each_load(native: Native) -> None:
    record = native.go(SWEEP)
    assert profiles(native.program) == ["sweep"]
    assert [(point.label, point.outcome, point.stage) for point in record.points] == [
        ("synchronous", "valid", "01-sweep"),
        ("throughput", "valid", "01-sweep"),
        ("constant@3.00", "valid", "01-sweep"),
        ("constant@4.00", "valid", "01-sweep"),
    ]
    assert record.never_run == ()
    told = status(native.folder, seen=-1, wait_s=0)
    assert (told.planned, len(told.points)) == (4, 4)
    for point in record.points:
        folder = native.folder / point.point.name
        report = json.loads((folder / "report.json").read_text())
        assert len(report["benchmarks"]) == 1
        assert (folder / "requests.jsonl").exists()
        assert point.figures is not None
        assert point.figures["completed"] == 46
    spec = json.loads((native.folder / "01-sweep" / "guidellm.json").read_text())["spec"]
    assert spec["profile"] == {"kind": "sweep", "sweep_size": 4, "max_concurrency": 512}
    assert len(json.loads((native.folder / "01-sweep/report.json").read_text())["benchmarks"]) == 4


def test_reports_show_its_points_and_not_the_process(native: Native) -> None:
    native.go(SWEEP)
    table = read_table(native.folder.parent)
    assert [row.point for row in table.rows] == [
        *("synchronous", "throughput", "constant@3.00", "constant@4.00"),
    ]
    assert "FAILED" not in "\n".join(lines(table))
    (host,) = read_hosts(native.folder)
    assert [point.path.name for point in host.points if point.record is None] == []
    assert len(host.points) == 4


def test_a_hang_repeats_the_whole_stage(native: Native, engine: FakeEngine) -> None:
    engine.is_quiet = True
    set_modes(native.program, sweep="served, then hangs once")
    record = native.go(SWEEP)
    assert profiles(native.program) == ["sweep", "sweep"]
    assert [call["seed"] for call in calls(native.program)] == [42, 43]
    assert {point.outcome for point in record.points} == {"valid"}
    assert [len(point.attempts) for point in record.points] == [2] * 4
    assert record.points[0].attempts[0].verdict == "hung"
    assert (native.folder / "01-sweep" / "attempt-1" / "stacks.txt").exists()


def test_without_a_report_the_process_is_the_failed_row(native: Native) -> None:
    set_modes(native.program, sweep="crash")
    record = native.go(SWEEP)
    assert [(point.label, point.outcome) for point in record.points] == [("sweep", "failed")]
    assert "Backend validation request failed" in record.points[0].reasons[0]
    assert len(record.never_run) == 4
    assert (native.folder / "01-sweep" / "point.json").exists()
    set_modes(native.program, sweep="silent")
    again = native.go(SWEEP)
    assert again.points[0].reasons == ("GuideLLM exited with 0 and wrote no report of a benchmark",)


def test_one_bad_load_runs_the_whole_stage_again_and_the_rest_is_kept(native: Native) -> None:
    first = {"profile": "concurrent", "streams": [4]}
    set_modes(native.program, sweep="errors")
    record = native.go(first, SWEEP)
    assert {point.outcome for point in record.points[1:]} == {"invalid"}
    set_modes(native.program)
    before = len(calls(native.program))
    again = native.go(first, SWEEP)
    assert profiles(native.program)[before:] == ["sweep"]
    assert {point.outcome for point in again.points} == {"valid"}
    assert (native.folder / "superseded" / "02-sweep-synchronous-1" / "point.json").exists()
    assert calls(native.program)[-1]["seed"] == 42 + 1000 + 1
    before = len(calls(native.program))
    assert native.go(first, SWEEP).never_run == ()
    assert len(calls(native.program)) == before


def test_a_search_tells_what_it_found(native: Native) -> None:
    goodput = {"profile": "goodput", "max_probes": 3}
    record = native.go(goodput, slo={"ttft_ms": 500})
    assert [point.point.name for point in record.points] == [
        *("01-goodput-01-concurrent-4", "01-goodput-02-concurrent-8"),
    ]
    stage = json.loads((native.folder / "01-goodput" / "stage.json").read_text())
    assert stage["conclusion"]["best_passing_streams"] == 8
    spec = json.loads((native.folder / "01-goodput" / "guidellm.json").read_text())["spec"]
    assert spec["metrics"]["slo"] == {"ttft_ms": 500}
    assert spec["profile"]["max_probes"] == 3
    text = lines(read_table(native.folder.parent))
    assert "goodput: 8 streams meet the objectives (converged)" in text


@pytest.mark.parametrize(
    "benchmarks",
    [
        None,
        "none",
        [],
        [1],
        [{"start_time": 1, "end_time": 2}],
        [{"start_time": "x", "end_time": 2, "config": {"strategy": {"type_": "synchronous"}}}],
    ],
)
def test_a_report_that_cannot_be_split_gives_no_points(benchmarks: Any) -> None:
    assert readable({"benchmarks": benchmarks}) == []
    assert readable(benchmarks) == []
