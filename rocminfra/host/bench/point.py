"""One point of a benchmark on the host: GuideLLM, once more when it hung, and judged.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rocminfra.host.bench import load_link, made_data
from rocminfra.host.bench.attempt import (
    Attempt,
    folder_name,
    keep_aside,
    run_attempt,
)
from rocminfra.host.bench.control_group import Launcher
from rocminfra.host.bench.engine_look import wait_until_idle
from rocminfra.host.bench.files import read_json, read_lines, sync, write_json
from rocminfra.host.bench.point_checks import check
from rocminfra.host.bench.requests_file import keep_requests
from rocminfra.host.bench.sample_gate import impossible_samples
from rocminfra.host.bench.telemetry import fetch
from rocminfra.planning.bench import guidellm_report, profiles, prompts, retry
from rocminfra.planning.bench.job_record import JobRecord, ScenarioRecord
from rocminfra.planning.bench.outcome_records import AttemptRecord, PointRecord
from rocminfra.planning.bench.points import Finished, Outcome, Point
from rocminfra.planning.bench.records import RecordError, as_json, read
from rocminfra.planning.bench.requests import Request, requests
from rocminfra.planning.bench.retry import Patience

RECORD = "point.json"


@dataclass
class Findings:
    """What is known of a point while it is being judged.

    + reasons: why it does not count; the first one decides between ``failed`` and ``invalid``
    """

    outcome: Outcome = "valid"
    reasons: list[str] = field(default_factory=list)
    figures: dict[str, Any] | None = None
    exit_code: int | None = None
    engine: dict[str, Any] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        """Nothing usable came out of the process."""
        self.outcome = "failed"
        self.reasons.append(reason)

    def doubt(self, reason: str) -> None:
        """There is a report and it does not count."""
        if self.outcome == "valid":
            self.outcome = "invalid"
        self.reasons.append(reason)

    def write(
        self,
        folder: Path,
        point: Point,
        attempts: Sequence[AttemptRecord],
        started: float,
        wall_s: float,
        stage: str | None = None,
    ) -> PointRecord:
        """Write the point's record, last, atomically and after all else is on the disk; return it.

        + started: Unix time; ``wall_s``: seconds from then to its end
        + stage: folder of the process that ran a whole stage, this point included
        """
        record = PointRecord(
            point=point,
            label=point.label,
            outcome=self.outcome,
            reasons=tuple(self.reasons),
            figures=self.figures,
            exit_code=self.exit_code,
            engine=self.engine,
            attempts=tuple(attempts),
            started=round(started, 3),
            wall_seconds=round(wall_s, 3),
            stage=stage,
        )
        sync(folder)
        write_json(folder / RECORD, as_json(record))
        return record


def run_point(
    job: JobRecord,
    point: Point,
    folder: Path,
    launcher: Launcher,
    so_far: Sequence[PointRecord] = (),
    earlier: int = 0,
    patience: Patience | None = None,
    repeating: Callable[[AttemptRecord], None] = lambda attempt: None,
    gpus: Sequence[str | None] = (),
) -> PointRecord:
    """Run one point, repeat it when GuideLLM hung, write its record and return it.

    + job: what was asked for (``rocminfra.bench.job``)
    + point: the point
    + folder: its folder, which exists and is empty
    + launcher: starts processes that can be ended with all that they started
    + so_far: records of this run's finished points; they say how long this one may take
    + earlier: attempts at this point before this one, of a run that is resumed
    + patience: how long to wait before something is said to hang
    + repeating: told of an attempt that is followed by another
    + gpus: what each of the engine's GPUs calls itself; empty when nobody knows

    The record is written last and atomically: a folder without one is a point that was cut off.
    """
    patience = Patience() if patience is None else patience
    ready = made_data.ensure if job.load_generator is None else load_link.prepare
    scenario = job.scenario
    began = time.time()
    findings = Findings()
    limits = retry.limits(
        profiles.load_seconds(point, scenario.stages, scenario.max_seconds),
        scenario.overhead_seconds,
        retry.seen_in(so_far, scenario.max_seconds),
        patience.silence_s,
    )
    where = prompts.place_of(point, scenario.stages)
    attempts: list[AttemptRecord] = []
    while True:
        problem = engine_problem(job.target, job.model) or ready(job)
        if problem is not None:
            findings.fail(problem)
            break
        number = len(attempts) + 1
        place = replace(where, earlier=earlier + len(attempts))
        attempt = run_attempt(job, point, folder, launcher, number, place, limits, patience)
        attempts.append(attempt.record)
        if not retry.is_repeated([one.verdict for one in attempts]):
            if point.stage is None:
                _conclude(job, folder, attempt, attempts, so_far, gpus, findings)
            else:
                _conclude_stage(job, folder, attempt, attempts, so_far, gpus, findings)
            break
        keep_aside(folder, number)
        attempts[-1] = replace(attempt.record, folder=folder_name(number))
        repeating(attempts[-1])
        problem = wait_until_idle(job.metrics_url, patience.idle_s)
        if problem is not None:
            findings.fail(f"{attempt.record.why}; it could not be repeated: {problem}")
            break
    return findings.write(folder, point, attempts, began, time.time() - began)


def read_point(folder: Path) -> PointRecord | None:
    """What an earlier attempt left in a point's folder, or None when it was not finished.

    A record of another version, or a damaged one, counts as not finished: the point runs again.
    """
    value = read_json(folder / RECORD)
    try:
        return None if value is None else read(PointRecord, value, RECORD)
    except RecordError:
        return None


def finished(record: PointRecord) -> Finished:
    """The part of a point's record that decides what comes next."""
    return Finished(
        name=record.point.name,
        outcome=record.outcome,
        requests_per_second=(record.figures or {}).get("requests_per_second"),
    )


def engine_problem(target: str, model: str) -> str | None:
    """Why the engine cannot be measured, or None when it lists the model.

    GuideLLM finds out as well, ten seconds later and in a traceback.
    """
    try:
        answer = json.loads(fetch(f"{target}/models"))
        served = [item["id"] for item in answer["data"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"the engine at {target} does not answer: {error}"
    if model not in served:
        return f"the engine at {target} serves {', '.join(served) or 'nothing'}, not {model}"
    return None


def peaks(path: Path) -> dict[str, float]:
    """Highest value of each gauge among the samples of ``metrics.jsonl``."""
    highest: dict[str, float] = {}
    for sample in read_lines(path)[0]:
        engine = sample.get("engine") or {}
        for name in ("kv_cache_usage", "running", "waiting"):
            if name in engine:
                highest[name] = max(highest.get(name, 0.0), engine[name])
    return highest


def _conclude(
    job: JobRecord,
    folder: Path,
    attempt: Attempt,
    attempts: Sequence[AttemptRecord],
    so_far: Sequence[PointRecord],
    gpus: Sequence[str | None],
    findings: Findings,
) -> None:
    """Judge the last attempt at a point."""
    _note_end(attempt, attempts, findings)
    found = judge(job.scenario, folder, attempt.record.number, findings)
    itl_ms = (findings.figures or {}).get("itl_p50_ms")
    known, reasons = check(job, folder, attempt, found, itl_ms, so_far, gpus)
    findings.engine.update(known)
    for reason in reasons:
        findings.doubt(reason)
    findings.engine["peaks"] = peaks(folder / "metrics.jsonl")
    for reason in impossible_samples(folder):
        findings.doubt(reason)


def _conclude_stage(
    job: JobRecord,
    folder: Path,
    attempt: Attempt,
    attempts: Sequence[AttemptRecord],
    so_far: Sequence[PointRecord],
    gpus: Sequence[str | None],
    findings: Findings,
) -> None:
    """Judge the process of a whole stage by what holds for all of its points."""
    _note_end(attempt, attempts, findings)
    if findings.outcome != "valid":
        return
    report = read_json(folder / "report.json")
    benchmarks = report.get("benchmarks") if isinstance(report, dict) else None
    whole = [one for one in benchmarks or () if isinstance(one, dict)]
    found = [one for each in whole for one in requests(each, attempt.record.number)]
    known, reasons = check(job, folder, attempt, found, None, so_far, gpus)
    findings.engine.update(known)
    for reason in (*reasons, *impossible_samples(folder)):
        findings.doubt(reason)


def _note_end(attempt: Attempt, attempts: Sequence[AttemptRecord], findings: Findings) -> None:
    findings.exit_code = attempt.record.exit_code
    if attempt.record.why is not None:
        findings.fail(attempt.record.why)
    if findings.outcome != "valid" and len(attempts) > 1:
        findings.reasons.append(f"the attempt before it: {attempts[-2].why}")


def judge(
    scenario: ScenarioRecord, folder: Path, attempt: int, findings: Findings
) -> tuple[Request, ...]:
    """Read a point's report into its findings, keep its requests and return them.

    + scenario: what it needs in order to count
    + folder: the point's folder, with a report of one benchmark
    + attempt: number of the attempt that made the report
    + findings: what is known so far; a failed point is left as it is
    """
    if findings.outcome != "valid":
        return ()
    path = folder / "report.json"
    if not path.exists():
        findings.fail("GuideLLM exited with 0 and wrote no report")
        return ()
    report = read_json(path)
    if not isinstance(report, dict):
        findings.fail("GuideLLM's report is not a JSON object")
        return ()
    try:
        found = guidellm_report.figures(report)
        first_error = guidellm_report.first_error(report)
    except guidellm_report.ReportError as error:
        findings.fail(str(error))
        return ()
    findings.figures = found.as_dict()
    kept = keep_requests(folder, report, attempt, scenario.sample_size)
    measured = None
    if scenario.max_requests is None:
        measured = scenario.max_seconds - scenario.warmup_seconds
    limits = guidellm_report.Limits(
        min_completed=scenario.min_completed,
        max_error_rate=scenario.max_error_rate,
        measured_seconds=measured,
    )
    for reason in guidellm_report.doubts(found, limits):
        findings.doubt(reason)
    if findings.reasons and first_error is not None:
        findings.reasons.append(f"first error: {first_error}")
    return kept
