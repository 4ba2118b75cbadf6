"""One attempt at a benchmark point on the host: one GuideLLM process, from start to end.

An attempt writes only to the point's folder. Before the point is repeated, those files move to a
subfolder, ``attempt-1``.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rocminfra.host.bench import guidellm_launcher, hang_watch, load_frames, load_link
from rocminfra.host.bench.control_group import Launcher, Running
from rocminfra.host.bench.engine_look import settled, snapshot
from rocminfra.host.bench.files import read_json, write_atomic, write_json
from rocminfra.host.bench.gpu_telemetry import TELEMETRY, gpu_sampler
from rocminfra.host.bench.telemetry import (
    METRICS,
    Sampler,
    engine_sampler,
)
from rocminfra.planning.bench import guidellm_spec, profiles, prompts
from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.outcome_records import AttemptRecord
from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.prompts import Place
from rocminfra.planning.bench.records import as_json
from rocminfra.planning.bench.retry import Limits, Patience, Verdict

RECORD = "attempt.json"
# Python's own words between the errors of a traceback.
_FRAMES = (
    "Traceback (most recent call last)",
    "The above exception was the direct cause of the following exception",
    "During handling of the above exception, another exception occurred",
)
_LAST_LINES = 5


@dataclass(frozen=True)
class Attempt:
    """The outcome of an attempt.

    + record: contents of ``attempt.json``
    + before, after: the engine's counters before and after it, or None if unreadable
    """

    record: AttemptRecord
    before: Mapping[str, float] | None
    after: Mapping[str, float] | None


def folder_name(number: int) -> str:
    """Subfolder of the point's folder for an attempt that was followed by another."""
    return f"attempt-{number}"


def run_attempt(
    job: JobRecord,
    point: Point,
    folder: Path,
    launcher: Launcher,
    number: int,
    place: Place,
    limits: Limits,
    patience: Patience,
) -> Attempt:
    """Run GuideLLM once, write the attempt's record and return it.

    + job: the requested benchmark (``rocminfra.bench.job``)
    + point: the point
    + folder: its folder, without files of another attempt
    + launcher: starts processes that can be ended together with their children
    + number: number of the attempt at this point, from 1
    + place: its place among all attempts of the run, which determines its prompts
    + limits: its time limits
    + patience: how long to wait before it counts as hung
    """
    scenario = job.scenario
    told = load_link.seen(job)
    spec = guidellm_spec.spec(
        point, scenario, told.target, job.model, told.tokenizer, place, told.made
    )
    write_json(folder / "guidellm.json", spec)
    trace = profiles.trace(
        point, scenario.data, scenario.max_seconds, prompts.seed(scenario.seed, place)
    )
    if trace is not None:
        write_atomic(folder / profiles.TRACE, trace)
    before = settled(job.metrics_url, folder / "metrics_before.prom", patience.settle_s)
    began, clock = time.time(), time.monotonic()
    watch = hang_watch.Watch(clock, float(scenario.max_seconds), limits, patience.silence_s, before)
    sampler = engine_sampler(folder / METRICS, job.metrics_url)
    gpus = gpu_sampler(folder / TELEMETRY)
    with sampler, gpus:
        ended = _run_process(job, point, folder, launcher, watch, sampler, number, limits, patience)
        # Taken before the last samples: only the process is timed.
        seconds = time.monotonic() - clock
    after = snapshot(job.metrics_url, folder / "metrics_after.prom")
    _remove_empty(folder / guidellm_launcher.STACKS)
    launch = launch_record(folder)
    record = AttemptRecord(
        number=number,
        seed=prompts.seed(scenario.seed, place),
        verdict=ended.verdict,
        why=ended.why,
        started=round(began, 3),
        ended=round(began + seconds, 3),
        seconds=round(seconds, 3),
        start_seconds=_start_seconds(launch, began, watch, clock),
        limit_seconds=limits.total_s,
        exit_code=ended.exit_code,
        last_line=ended.last_line,
        stacks=ended.stacks,
        engine=after,
        launcher=None if launch is None else {**launch, **ended.origin},
        telemetry={
            "cpu_seconds": round(sampler.cpu_s + gpus.cpu_s, 3),
            "sources": dict(gpus.sources),
        },
        load_generator=ended.machine,
    )
    write_json(folder / RECORD, as_json(record))
    return Attempt(record, before, after)


def keep_aside(folder: Path, number: int) -> None:
    """Move an attempt's files from the point's folder to a subfolder.

    + folder: the point's folder
    + number: number of the attempt
    """
    aside = folder / folder_name(number)
    left = [path for path in folder.iterdir() if not path.name.startswith("attempt-")]
    aside.mkdir()
    for path in left:
        path.rename(aside / path.name)


def launch_record(folder: Path) -> dict[str, Any] | None:
    """The launcher's record of GuideLLM's start, or None if there is none."""
    found = read_json(folder / guidellm_launcher.RECORD)
    return found if isinstance(found, dict) else None


def last_words(folder: Path, lines: int = _LAST_LINES) -> str:
    """The end of GuideLLM's stderr; of a traceback what it ends with, and not where it went by.

    + folder: the point's folder
    + lines: number of lines
    """
    try:
        text = (folder / "stderr.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    written = text.split("\n")
    # Python indents the frames of a traceback.
    said = [line for line in written if not line[:1].isspace() and not line.startswith(_FRAMES)]
    found = [line for line in map(load_frames.plain, said) if line]
    found = found or [line for line in map(load_frames.plain, written) if line]
    return " | ".join(found[-lines:])[-600:] or "no output"


@dataclass(frozen=True)
class _Ended:
    """How a process ended, as in :class:`AttemptRecord`."""

    verdict: Verdict
    why: str | None
    exit_code: int | None = None
    last_line: str | None = None
    stacks: str | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] | None = None


def _run_process(
    job: JobRecord,
    point: Point,
    folder: Path,
    launcher: Launcher,
    watch: hang_watch.Watch,
    sampler: Sampler,
    number: int,
    limits: Limits,
    patience: Patience,
) -> _Ended:
    command = guidellm_spec.command(job.guidellm_python, guidellm_launcher.__file__)
    repeat = "" if number == 1 else f"-{number}"
    name = f"rocminfra-bench-{job.run}-{point.name}{repeat}"
    environment = {**os.environ, **job.environment}
    stacks = None
    with (folder / "stdout.log").open("wb") as out, (folder / "stderr.log").open("wb") as err:
        try:
            running = launcher.start(name, command, folder, environment, out, err)
        except OSError as error:
            return _Ended("not started", f"GuideLLM did not start: {error}")
        try:
            verdict, code = _watch(running, folder, watch, sampler, patience.look_s)
            # Read before the kill, which makes GuideLLM print more.
            last_line = last_words(folder, 1)
            if verdict != "ended" and running.ask_for_stacks(
                guidellm_launcher.STACKS_SIGNAL, folder / guidellm_launcher.STACKS
            ):
                stacks = guidellm_launcher.STACKS
        finally:
            # After a normal exit too: workers may remain.
            _end(running)
    why = running.trouble or _why(verdict, code, limits, folder, patience)
    return _Ended(verdict, why, code, last_line, stacks, running.origin, running.machine)


def _watch(
    running: Running, folder: Path, watch: hang_watch.Watch, sampler: Sampler, look_s: float
) -> tuple[Verdict, int | None]:
    """How the process ended, and its exit code; None when it must be killed."""
    while True:
        code = running.wait(look_s)
        if code is not None:
            return "ended", code
        launch = launch_record(folder) if watch.first_request is None else None
        sample = sampler.latest
        verdict = watch.look(
            hang_watch.Look(
                now=time.monotonic(),
                engine=sample.get("engine"),
                engine_at=sample.get("monotonic"),
                said=hang_watch.bytes_said(folder),
                cpu_s=running.cpu_seconds(),
                has_begun=_has_begun(launch),
            )
        )
        if verdict is not None:
            return verdict, None


def _has_begun(launch: Mapping[str, Any] | None) -> bool | None:
    if launch is None or not launch.get("patched"):
        return None
    return launch.get("first_request") is not None


def _start_seconds(
    launch: Mapping[str, Any] | None, began: float, watch: hang_watch.Watch, clock: float
) -> float | None:
    told = None if launch is None else launch.get("first_request")
    if told is not None:
        return round(max(0.0, float(told) - began), 3)
    return None if watch.first_request is None else round(watch.first_request - clock, 3)


def _why(
    verdict: Verdict, code: int | None, limits: Limits, folder: Path, patience: Patience
) -> str | None:
    """What went wrong, as a sentence; None when the process exited with code 0."""
    if verdict == "hung":
        quiet = f"with the engine idle and no output for {patience.silence_s:g} s"
        return f"GuideLLM hung after its load, {quiet}, and was killed"
    if verdict == "never began":
        return "GuideLLM sent no request, stopped responding, and was killed"
    if verdict == "timeout":
        return f"GuideLLM did not end within {limits.total_s:g} s and was killed"
    if code != 0:
        return f"GuideLLM exited with {code}: {last_words(folder)}"
    return None


def _remove_empty(path: Path) -> None:
    if path.exists() and not path.stat().st_size:
        path.unlink()


def _end(running: Running) -> None:
    try:
        running.end()
    except BaseException:
        # This program was told to stop meanwhile; it is told only once.
        running.end()
        raise
