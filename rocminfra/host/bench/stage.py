"""A stage that one GuideLLM process ran as a whole: its report split into points.

GuideLLM's own sweep and its searches choose each load by what the one before it gave, so they run
in one process, and its report has a benchmark for each. Every benchmark becomes a point with a
folder of its own, like one that had its own process; the process keeps a folder with its logs, its
configuration and the whole report.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rocminfra.host.bench.files import read_json, read_lines, set_aside, write_atomic, write_json
from rocminfra.host.bench.point import (
    RECORD,
    Findings,
    judge,
    peaks,
    read_point,
)
from rocminfra.planning.bench import validity
from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.outcome_records import STAGE, PointRecord
from rocminfra.planning.bench.points import Finished, Point, Stage, parts, planned_names
from rocminfra.planning.bench.records import RecordError, as_json, read

_SAMPLES = ("metrics.jsonl", "telemetry.jsonl")


def split(job: JobRecord, record: PointRecord, folder: Path) -> tuple[PointRecord, ...]:
    """Make points of a process's report and write their records.

    + job: what was asked for
    + record: the process's own, whose ``point.stage`` is set
    + folder: the run's folder

    Returns the process's record first, with the worst outcome of its points, and then theirs. When
    it gave no report, its own record is all there is.
    """
    own = folder / record.point.name
    report = read_json(own / "report.json")
    benchmarks = readable(report)
    if record.outcome == "failed" or not benchmarks:
        if record.outcome != "failed":
            reason = "GuideLLM exited with 0 and wrote no report of a benchmark"
            record = replace(record, outcome="failed", reasons=(reason,))
            write_json(own / RECORD, as_json(record))
        return (record,)
    strategies = [_strategy(benchmark) for benchmark in benchmarks]
    points = parts(job.scenario.stages, record.point, strategies)
    made = tuple(
        _part(job, record, point, {**report, "benchmarks": [benchmark]}, own)
        for point, benchmark in zip(points, benchmarks)
    )
    common = record.reasons
    wrong = [
        f"{one.label}: {reason}" for one in made for reason in one.reasons if reason not in common
    ]
    whole = replace(
        record,
        outcome="invalid" if any(one.outcome != "valid" for one in made) else "valid",
        reasons=(*common, *wrong),
        conclusion=_conclusion(report),
    )
    write_json(own / STAGE, as_json(whole))
    # A row of its own would be a point that measured nothing.
    (own / RECORD).unlink()
    return (whole, *made)


def kept(folder: Path, stages: tuple[Stage, ...]) -> tuple[list[PointRecord], dict[str, Finished]]:
    """Valid points of an earlier attempt at a run, and what needs not run again.

    + folder: the run's folder
    + stages: the scenario's load profiles

    Of a stage in one process either all points are kept, or none: its later loads follow from its
    earlier ones.
    """
    whole = {
        record.point.name: record
        for record in _records(folder, STAGE)
        if record.outcome == "valid" and record.point.stage is not None
    }
    records = []
    done = {name: Finished(name, "valid") for name in whole}
    planned = set(planned_names(stages))
    for record in _records(folder, RECORD):
        if record.outcome != "valid" or record.point.stage is not None:
            continue
        if record.stage in whole if record.stage else record.point.name in planned:
            records.append(record)
            rate = (record.figures or {}).get("requests_per_second")
            done[record.point.name] = Finished(record.point.name, "valid", rate)
    records.sort(key=lambda record: record.started)
    return records, done


def set_parts_aside(folder: Path, process: Point) -> None:
    """Keep the points of an earlier attempt at a whole stage.

    + folder: the run's folder
    + process: the process that is about to start again
    """
    for path in sorted(folder.glob(f"*/{RECORD}")):
        record = read_point(path.parent)
        if record is not None and record.stage == process.name:
            set_aside(path.parent)


def _part(
    job: JobRecord, process: PointRecord, point: Point, report: Mapping[str, Any], own: Path
) -> PointRecord:
    folder = own.parent / point.name
    folder.mkdir(exist_ok=True)
    (benchmark,) = report["benchmarks"]
    started, ended = float(benchmark["start_time"]), float(benchmark["end_time"])
    write_atomic(folder / "report.json", json.dumps(report) + "\n")
    for name in _SAMPLES:
        _cut(own / name, folder / name, started, ended)
    findings = Findings(exit_code=process.exit_code)
    judge(job.scenario, folder, process.attempts[-1].number, findings)
    floor = process.engine.get("itl_floor_ms")
    for reason in (
        # What concerns all of the process's requests concerns these.
        *process.reasons,
        *validity.floor_doubts((findings.figures or {}).get("itl_p50_ms"), floor),
    ):
        findings.doubt(reason)
    findings.engine["counted"] = _rise(own / "metrics.jsonl", started, ended)
    findings.engine["itl_floor_ms"] = floor
    findings.engine["peaks"] = peaks(folder / "metrics.jsonl")
    return findings.write(
        folder, point, process.attempts, started, ended - started, stage=process.point.name
    )


def readable(report: Any) -> list[Mapping[str, Any]]:
    """The benchmarks of a report; none when any of them has no times or no load.

    + report: what ``report.json`` holds
    """
    found = report.get("benchmarks") if isinstance(report, Mapping) else None
    benchmarks = found if isinstance(found, list) else []
    if all(isinstance(one, Mapping) and _times(one) and _strategy(one) for one in benchmarks):
        return benchmarks
    return []


def _times(benchmark: Mapping[str, Any]) -> bool:
    return all(isinstance(benchmark.get(name), (int, float)) for name in ("start_time", "end_time"))


def _strategy(benchmark: Mapping[str, Any]) -> Mapping[str, Any]:
    config = benchmark.get("config")
    found = config.get("strategy") if isinstance(config, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _conclusion(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a search found: GuideLLM's own words, as data."""
    found = report.get("conclusions")
    values = [item for item in found or () if isinstance(item, Mapping) and item]
    return values[0] if values else None


def _cut(source: Path, target: Path, started: float, ended: float) -> None:
    """Copy the samples between two times."""
    if not source.exists():
        return
    inside = [one for one in read_lines(source)[0] if started <= one.get("time", 0.0) <= ended]
    write_atomic(target, "".join(f"{json.dumps(one, sort_keys=True)}\n" for one in inside))


def _rise(path: Path, started: float, ended: float) -> dict[str, float] | None:
    """By how much the engine's counters rose from just before a point to just after it.

    Samples are a second apart, so that requests of its neighbours may be counted as well; what has
    to agree is compared for the process as a whole.
    """
    samples = [one for one in read_lines(path)[0] if one.get("engine") and "time" in one]
    before = [line for line in samples if line["time"] <= started] or samples[:1]
    after = [line for line in samples if line["time"] >= ended] or samples[-1:]
    if not samples or before[-1]["time"] >= after[0]["time"]:
        return None
    first, last = before[-1]["engine"], after[0]["engine"]
    names = ("requests", "prompt_tokens", "generation_tokens", "preemptions")
    return {name: last[name] - first[name] for name in names if name in first and name in last}


def _records(folder: Path, name: str) -> Iterator[PointRecord]:
    for path in sorted(folder.glob(f"*/{name}")):
        value = read_json(path)
        try:
            if value is not None:
                yield read(PointRecord, value, name)
        except RecordError:
            continue
