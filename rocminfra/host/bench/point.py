"""One point of a benchmark on the host: one GuideLLM process, watched and judged.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rocminfra.host.bench.control_group import Launcher, Running
from rocminfra.host.bench.files import read_json, write_json
from rocminfra.host.bench.telemetry import engine_sample, engine_sampler, fetch, gpu_sampler
from rocminfra.planning.bench import guidellm_report, guidellm_spec
from rocminfra.planning.bench.points import Finished, Outcome, Point

RECORD = "point.json"
_LAST_LINES = 5


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


def run_point(
    job: Mapping[str, Any], point: Point, folder: Path, launcher: Launcher
) -> dict[str, Any]:
    """Run one point, write its record and return it.

    + job: what was asked for (``rocminfra.bench.job``)
    + point: the point
    + folder: its folder, which exists and is empty
    + launcher: starts processes that can be ended with all that they started

    The record is written last and atomically: a folder without one is a point that was cut off.
    """
    scenario = job["scenario"]
    spec = guidellm_spec.spec(point, scenario, job["target"], job["model"], job["tokenizer"])
    write_json(folder / "guidellm.json", spec)
    began = time.time()
    findings = Findings()
    before = _snapshot(job["metrics_url"], folder / "metrics_before.prom")
    problem = engine_problem(job["target"], job["model"])
    if problem is not None:
        findings.fail(problem)
    else:
        metrics = folder / "metrics.jsonl"
        with engine_sampler(metrics, job["metrics_url"]), gpu_sampler(folder / "telemetry.jsonl"):
            _run_process(job, point, folder, launcher, findings)
        after = _snapshot(job["metrics_url"], folder / "metrics_after.prom")
        _judge(scenario, folder, findings)
        _compare_with_engine(before, after, findings)
        findings.engine["peaks"] = peaks(folder / "metrics.jsonl")
    record = {
        "point": point.as_dict(),
        "label": point.label,
        "outcome": findings.outcome,
        "reasons": findings.reasons,
        "figures": findings.figures,
        "exit_code": findings.exit_code,
        "engine": findings.engine,
        "started": round(began, 3),
        "wall_seconds": round(time.time() - began, 3),
    }
    write_json(folder / RECORD, record)
    return record


def finished_point(folder: Path) -> Finished | None:
    """What an earlier attempt left in a point's folder, or None when it was not finished."""
    record = read_json(folder / RECORD)
    if not isinstance(record, dict):
        return None
    return finished(record)


def finished(record: Mapping[str, Any]) -> Finished:
    """The part of a point's record that decides what comes next."""
    figures = record["figures"] or {}
    return Finished(
        name=record["point"]["name"],
        outcome=record["outcome"],
        requests_per_second=figures.get("requests_per_second"),
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
    if not path.exists():
        return highest
    for line in path.read_text(encoding="utf-8").splitlines():
        sample = json.loads(line).get("engine", {})
        for name in ("kv_cache_usage", "running", "waiting"):
            if name in sample:
                highest[name] = max(highest.get(name, 0.0), sample[name])
    return highest


def timeout_seconds(scenario: Mapping[str, Any]) -> float:
    """Hard limit of one point's process, from start to exit."""
    return float(scenario["max_seconds"] + scenario["overhead_seconds"])


def _run_process(
    job: Mapping[str, Any], point: Point, folder: Path, launcher: Launcher, findings: Findings
) -> None:
    command: Sequence[str] = guidellm_spec.command(job["guidellm"])
    limit = timeout_seconds(job["scenario"])
    name = f"rocminfra-bench-{job['run']}-{point.name}"
    environment = {**os.environ, **job["environment"]}
    with (folder / "stdout.log").open("wb") as out, (folder / "stderr.log").open("wb") as err:
        try:
            running = launcher.start(name, command, folder, environment, out, err)
        except OSError as error:
            findings.fail(f"GuideLLM did not start: {error}")
            return
        try:
            findings.exit_code = running.wait(limit)
        finally:
            # After a normal end too: workers may be left.
            _end(running)
    if findings.exit_code is None:
        findings.fail(f"GuideLLM did not end within {limit:g} s and was killed")
    elif findings.exit_code != 0:
        findings.fail(f"GuideLLM exited with {findings.exit_code}: {_last_words(folder)}")


def _end(running: Running) -> None:
    try:
        running.end()
    except BaseException:
        # This program was told to stop while it did that; it is told only once.
        running.end()
        raise


def _judge(scenario: Mapping[str, Any], folder: Path, findings: Findings) -> None:
    if findings.outcome != "valid":
        return
    path = folder / "report.json"
    if not path.exists():
        findings.fail("GuideLLM exited with 0 and wrote no report")
        return
    report = read_json(path)
    if not isinstance(report, dict):
        findings.fail("GuideLLM's report is no JSON object")
        return
    try:
        found = guidellm_report.figures(report)
        first_error = guidellm_report.first_error(report)
    except guidellm_report.ReportError as error:
        findings.fail(str(error))
        return
    findings.figures = found.as_dict()
    measured = None
    if scenario["max_requests"] is None:
        measured = scenario["max_seconds"] - scenario["warmup_seconds"]
    limits = guidellm_report.Limits(
        min_completed=scenario["min_completed"],
        max_error_rate=scenario["max_error_rate"],
        measured_seconds=measured,
    )
    for reason in guidellm_report.doubts(found, limits):
        findings.doubt(reason)
    if findings.reasons and first_error is not None:
        findings.reasons.append(f"first error: {first_error}")


def _snapshot(url: str, path: Path) -> dict[str, float] | None:
    try:
        page = fetch(url)
    except OSError:
        return None
    path.write_text(page, encoding="utf-8")
    return engine_sample(page)


def _compare_with_engine(
    before: Mapping[str, float] | None, after: Mapping[str, float] | None, findings: Findings
) -> None:
    if not before or not after:
        findings.engine["counted"] = None
        return
    names = ("requests", "prompt_tokens", "generation_tokens", "preemptions")
    counted = {
        name: after[name] - before[name] for name in names if name in before and name in after
    }
    findings.engine["counted"] = counted
    if any(value < 0 for value in counted.values()):
        findings.doubt("the engine's counters went back: it was restarted while the point ran")
        return
    completed = (findings.figures or {}).get("completed", 0)
    if completed and counted.get("generation_tokens") == 0:
        findings.doubt("the engine counted no token: something else answered the requests")


def _last_words(folder: Path) -> str:
    text = (folder / "stderr.log").read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_LAST_LINES:])[-600:] or "it said nothing"
