"""Document pages are made before the first point that sends them, and only once."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from bench_fakes import FakeEngine, calls, job, scenario
from pyarrow import parquet

from rocminfra.bench.job import Job
from rocminfra.host.bench import made_data
from rocminfra.host.bench.control_group import ProcessGroups
from rocminfra.host.bench.point import run_point
from rocminfra.planning.bench.points import Point

STAGES = [{"profile": "concurrent", "streams": [2]}]
PAGES = {"kind": "document_pages", "pages": 1, "questions_per_page": 2}


def made_job(tmp_path: Path, engine: FakeEngine, program: Path, python: str) -> Job:
    wanted = scenario(STAGES, data=PAGES)
    made = job(tmp_path, program, engine, wanted)
    changed = replace(made.record, guidellm_python=python, datasets=str(tmp_path / "datasets"))
    return replace(made, record=changed)


def test_pages_are_made_with_guidellms_python_and_once(
    tmp_path: Path, engine: FakeEngine, program: Path
) -> None:
    record = made_job(tmp_path, engine, program, sys.executable).record
    assert made_data.ensure(record) is None
    target = Path(made_data.path(record) or "")
    assert parquet.read_metadata(target).num_rows == 2
    written = target.stat().st_mtime_ns
    assert made_data.ensure(record) is None
    assert target.stat().st_mtime_ns == written


def test_other_data_needs_nothing_made(tmp_path: Path, engine: FakeEngine, program: Path) -> None:
    record = job(tmp_path, program, engine, scenario(STAGES)).record
    assert made_data.path(record) is None
    assert made_data.ensure(record) is None


def test_a_point_sends_what_was_made(tmp_path: Path, engine: FakeEngine, program: Path) -> None:
    record = made_job(tmp_path, engine, program, str(program)).record
    assert made_data.ensure(replace(record, guidellm_python=sys.executable)) is None
    folder = tmp_path / "point"
    folder.mkdir()
    point = Point("01-concurrent-2", "concurrent", streams=2)
    made = run_point(record, point, folder, ProcessGroups(grace_s=0.2))
    assert made.outcome == "valid", made.reasons
    spec = json.loads((folder / "guidellm.json").read_text())["spec"]
    assert spec["data"] == [{"kind": "parquet_file", "path": made_data.path(record)}]


def test_pages_that_cannot_be_made_fail_the_point_before_guidellm_starts(
    tmp_path: Path, engine: FakeEngine, program: Path
) -> None:
    record = made_job(tmp_path, engine, program, sys.executable).record
    Path(record.datasets).write_text("in the way")
    folder = tmp_path / "point"
    folder.mkdir()
    point = Point("01-concurrent-2", "concurrent", streams=2)
    made = run_point(record, point, folder, ProcessGroups(grace_s=0.2))
    assert made.outcome == "failed"
    assert made.reasons[0].startswith("the document pages could not be made: FileExistsError")
    assert calls(program) == []
    missing = replace(record, guidellm_python=str(tmp_path / "no-python"))
    assert "could not be made" in (made_data.ensure(missing) or "")
