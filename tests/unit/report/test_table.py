"""The table of a run: from its folder only, and nothing measured is never a 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import RUN, attempt_record, report, scenario

from rocminfra.bench.job import make_job
from rocminfra.planning.bench.guidellm_report import figures
from rocminfra.planning.bench.outcome_records import Provenance, RunRecord
from rocminfra.planning.bench.records import as_json
from rocminfra.report.table import lines, read_table
from rocminfra.settings import load_settings


def record(
    label: str, outcome: str = "valid", started: float = 0.0, **changes: Any
) -> dict[str, Any]:
    return {
        "point": {"name": label, "kind": "synchronous"},
        "exit_code": 0,
        "engine": {},
        "wall_seconds": 10.0,
        "label": label,
        "outcome": outcome,
        "reasons": [],
        "started": started,
        "figures": figures(report()).as_dict(),
        **changes,
    }


@pytest.fixture
def run(tmp_path: Path) -> Path:
    host = tmp_path / RUN / "mi300x-1"
    points = {
        "02-sweep-throughput": record("throughput", started=30.0),
        "01-concurrent-64": record("concurrent@64", started=10.0),
        "02-sweep-synchronous": record(
            "synchronous", "failed", 20.0, figures=None, reasons=["GuideLLM exited with 1: boom"]
        ),
    }
    for name, value in points.items():
        (host / name).mkdir(parents=True)
        (host / name / "point.json").write_text(json.dumps(value))
    settings = load_settings({"model.name": "toy"})
    made = make_job(RUN, "mi300x-1", scenario([{"profile": "sweep"}]), settings)
    (host / "job.json").write_text(made.text)
    ended = RunRecord(
        run=RUN,
        host="mi300x-1",
        state="finished",
        scenario="smoke",
        points=(),
        never_run=("02-sweep-constant-1",),
        usd_per_hour=1.99,
        guidellm="0.8.1",
        provenance=Provenance(
            engine="0.20.1+sim",
            gpus=({"name": "MI300X simulated ×20", "driver": None},) * 2,
            model="toy",
            kernel="6.1",
            machine="x86_64",
            cores=2,
        ),
        started=0.0,
        ended=60.0,
    )
    (host / "run.json").write_text(json.dumps(as_json(ended)))
    return host.parent


def test_rows_come_in_the_order_in_which_they_ran(run: Path) -> None:
    rows = read_table(run).rows
    assert [(row.point, row.outcome) for row in rows] == [
        ("concurrent@64", "valid"),
        ("synchronous", "failed"),
        ("throughput", "valid"),
        ("02-sweep-constant-1", "never run"),
    ]


def test_both_throughputs_and_the_price(run: Path) -> None:
    row = read_table(run).rows[0]
    assert (row.tokens_per_second_total, row.tokens_per_second_completed) == (2621.0, 2097.0)
    assert row.usd_per_million_tokens is not None
    assert round(row.usd_per_million_tokens, 3) == 0.211


def test_a_point_that_does_not_count_has_dashes_and_its_counts(run: Path) -> None:
    bad = record("concurrent@64", "invalid", reasons=["528 of 548 finished requests failed"])
    (run / "mi300x-1" / "01-concurrent-64" / "point.json").write_text(json.dumps(bad))
    table = read_table(run)
    row = table.rows[0]
    assert row.completed == 46
    text = lines(table)[1]
    assert text.split()[1] == "46"
    assert text.count("–") == 6
    assert "2,621" not in text
    assert text.endswith("INVALID")
    assert row.usd_per_million_tokens is None


def test_the_text_says_what_was_measured_and_what_was_not(run: Path) -> None:
    text = lines(read_table(run))
    assert "TTFT p50 ms" in text[0]
    assert "host" not in text[0], "one host needs no column"
    assert "2,621" in text[1]
    assert "0.211" in text[1]
    assert text[2].split()[:4] == ["synchronous", "–", "–", "–"]
    assert text[2].endswith("FAILED")
    assert text[-1] == "synchronous failed: GuideLLM exited with 1: boom"


def test_several_hosts_are_told_apart(run: Path) -> None:
    other = run / "mi300x-2" / "01-concurrent-64"
    other.mkdir(parents=True)
    (other / "point.json").write_text(json.dumps(record("concurrent@64")))
    text = lines(read_table(run))
    assert text[0].startswith("host")
    assert text[len(read_table(run).rows)].startswith("mi300x-2")
    assert read_table(run).rows[-1].usd_per_million_tokens is None, "no price was recorded"


def test_a_partial_run_says_so_in_its_table(run: Path) -> None:
    (run / "mi300x-1" / "PARTIAL").write_text("the run died before its end\n")
    assert lines(read_table(run))[-1] == "mi300x-1 is incomplete: the run died before its end"


def test_a_record_that_cannot_be_read_is_a_failed_row(run: Path) -> None:
    (run / "mi300x-1" / "01-concurrent-64" / "point.json").write_text("{")
    rows = read_table(run).rows
    assert rows[0].outcome == "failed"
    assert rows[0].completed is None


def test_it_says_what_was_measured(run: Path) -> None:
    assert "mi300x-1: toy, vLLM 0.20.1+sim on 2 × MI300X simulated ×20, scenario smoke" in lines(
        read_table(run)
    )


def test_a_run_that_was_cut_off_still_has_a_price(run: Path) -> None:
    (run / "mi300x-1" / "run.json").unlink()
    table = read_table(run)
    assert table.rows[0].usd_per_million_tokens is not None
    assert table.measured == {}


def test_an_empty_folder_has_no_rows(tmp_path: Path) -> None:
    assert read_table(tmp_path).rows == ()


HUNG = as_json(
    attempt_record(verdict="hung", why="GuideLLM hung after its load", folder="attempt-1")
)
ENDED = as_json(attempt_record(number=2, seed=43))


def test_a_point_that_was_repeated_says_so_and_why(run: Path) -> None:
    path = run / "mi300x-1" / "01-concurrent-64" / "point.json"
    path.write_text(json.dumps(record("concurrent@64", attempts=[HUNG, ENDED])))
    row = read_table(run).rows[0]
    assert (row.outcome, row.attempts) == ("valid", 2)
    assert row.usd_per_million_tokens is not None, "what was repeated counts"
    text = lines(read_table(run))
    assert text[1].endswith("  2 attempts")
    assert (
        "concurrent@64: attempt 1 of 2 is invalid: GuideLLM hung after its load "
        "(files in attempt-1, seed 42)"
    ) in text


def test_a_point_that_hung_twice_is_failed_and_repeated(run: Path) -> None:
    path = run / "mi300x-1" / "01-concurrent-64" / "point.json"
    twice = [HUNG, {**HUNG, "folder": None, "seed": 43}]
    path.write_text(json.dumps(record("concurrent@64", "failed", figures=None, attempts=twice)))
    assert lines(read_table(run))[1].endswith("FAILED, 2 attempts")


def test_records_without_attempts_are_of_one(run: Path) -> None:
    assert {row.attempts for row in read_table(run).rows} == {1}
