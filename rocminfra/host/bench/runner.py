"""Run a benchmark on the host, detached from whoever asked for it.

    runner.py run FOLDER                 run FOLDER/job.json to its end
    runner.py status FOLDER [--wait 15]  progress as one JSON object
    runner.py archive FOLDER TARGET      pack what there is, whatever happened

A run's folder holds ``job.json``, a folder a point, and at the end ``run.json`` and
``MANIFEST.sha256``. Whatever happens, the manifest is written. A valid point is never run again.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from rocminfra.host.bench import files
from rocminfra.host.bench.control_group import Launcher, launcher
from rocminfra.host.bench.lock import Busy, is_held, only_one
from rocminfra.host.bench.point import finished, finished_point, run_point
from rocminfra.host.bench.telemetry import fetch, gpu_models
from rocminfra.planning.bench.manifest import MANIFEST
from rocminfra.planning.bench.points import (
    Finished,
    Point,
    never_run,
    next_points,
    planned_names,
    stage_from_dict,
)
from rocminfra.planning.bench.retry import Patience

RECORD_VERSION = 1
_POLL_S = 0.2


class Stopped(Exception):
    """Somebody asked this program to end."""


def run(folder: Path, launch: Launcher, patience: Patience | None = None) -> dict[str, Any]:
    """Run what ``job.json`` asks for and return the record that ``run.json`` then holds.

    + folder: the run's folder
    + launch: starts GuideLLM
    + patience: how long to wait before something is said to hang

    Raises :class:`Busy` when another benchmark runs on this host.
    """
    job = files.read_json(folder / "job.json")
    stages = [stage_from_dict(stage) for stage in job["scenario"]["stages"]]
    with only_one(folder):
        progress = _Progress(folder, job, len(planned_names(stages)))
        done = _valid_points(folder, planned_names(stages))
        (folder / MANIFEST).unlink(missing_ok=True)
        state = "finished"
        try:
            for name in done:
                progress.add(files.read_json(folder / name / "point.json"))
            while todo := next_points(stages, done):
                done[todo[0].name] = _one(job, todo[0], folder, launch, progress, patience)
        except Stopped:
            state = "stopped"
        record = {
            "version": RECORD_VERSION,
            "run": job["run"],
            "host": job["host"],
            "state": state,
            "scenario": job["scenario"]["name"],
            "points": progress.records,
            "never_run": list(never_run(stages, done)),
            "usd_per_hour": job["usd_per_hour"],
            "guidellm": job["guidellm_version"],
            "provenance": _provenance(job),
            "started": progress.started,
            "ended": round(time.time(), 3),
        }
        files.write_json(folder / "run.json", record)
        files.write_manifest(folder)
        progress.end(state)
    return record


def status(folder: Path, seen: int, wait_s: float) -> dict[str, Any]:
    """Progress of a run; ``state`` is ``none``, ``running``, ``finished``, ``stopped`` or ``died``.

    + folder: the run's folder
    + seen: revision that the caller knows; a newer one is told at once
    + wait_s: seconds to wait for something new
    """
    deadline = time.monotonic() + wait_s
    while True:
        answer = _status_now(folder)
        is_news = answer["state"] not in ("none", "running") or answer["revision"] > seen
        if is_news or time.monotonic() >= deadline:
            return answer
        time.sleep(_POLL_S)


def main(arguments: list[str]) -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description="benchmark runner")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("run", "status", "archive"):
        verbs.add_parser(verb).add_argument("folder", type=Path)
    verbs.choices["status"].add_argument("--seen", type=int, default=-1)
    verbs.choices["status"].add_argument("--wait", type=float, default=0.0)
    verbs.choices["run"].add_argument("--unit", help="systemd unit that this runs in")
    verbs.choices["archive"].add_argument("target", type=Path)
    options = parser.parse_args(arguments)
    if options.verb == "status":
        print(json.dumps(status(options.folder, options.seen, options.wait), sort_keys=True))
        return 0
    if options.verb == "archive":
        if not (options.folder / MANIFEST).exists():
            files.write_manifest(options.folder)
        files.archive(options.folder, options.target)
        return 0
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        record = run(options.folder, launcher(options.unit))
    except Busy as error:
        print(error, file=sys.stderr)
        return 9
    return 0 if record["state"] == "finished" else 1


class _Progress:
    """Keeps ``status.json`` up to date."""

    def __init__(self, folder: Path, job: Mapping[str, Any], planned: int) -> None:
        self.started = round(time.time(), 3)
        self.records: list[dict[str, Any]] = []
        self._folder = folder
        self._run = job["run"]
        self._planned = planned
        self._revision = 0
        self._point: Point | None = None
        self._repeats: list[dict[str, Any]] = []
        self._write("running", None)

    def begin(self, point: Point) -> None:
        self._point = point
        self._write("running", point.label)

    def repeat(self, attempt: Mapping[str, Any]) -> None:
        """An attempt at the point that runs is followed by another."""
        assert self._point is not None
        self._repeats.append(
            {
                "name": self._point.name,
                "label": self._point.label,
                "attempt": attempt["number"] + 1,
                "why": attempt["why"],
            }
        )
        self._write("running", self._point.label)

    def add(self, record: dict[str, Any]) -> None:
        self.records.append(record)
        self._write("running", None)

    def end(self, state: str) -> None:
        self._write(state, None)

    def _write(self, state: str, current: str | None) -> None:
        self._revision += 1
        files.write_json(
            self._folder / files.STATUS,
            {
                "run": self._run,
                "pid": os.getpid(),
                "state": state,
                "revision": self._revision,
                "current": current,
                "planned": self._planned,
                "points": [_short(record) for record in self.records],
                # Of points that run now as well.
                "repeats": self._repeats,
            },
        )


def _short(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": record["point"]["name"],
        "label": record["label"],
        "outcome": record["outcome"],
        "reasons": record["reasons"],
        "wall_seconds": record["wall_seconds"],
        "attempts": len(record.get("attempts") or (None,)),
    }


def _one(
    job: Mapping[str, Any],
    point: Point,
    folder: Path,
    launch: Launcher,
    progress: _Progress,
    patience: Patience | None,
) -> Finished:
    target = folder / point.name
    files.set_aside(target)
    target.mkdir()
    progress.begin(point)
    record = run_point(
        job,
        point,
        target,
        launch,
        so_far=progress.records,
        earlier=files.earlier_attempts(target),
        patience=patience,
        repeating=progress.repeat,
    )
    progress.add(record)
    return finished(record)


def _valid_points(folder: Path, names: tuple[str, ...]) -> dict[str, Finished]:
    found = {name: finished_point(folder / name) for name in names}
    return {
        name: point
        for name, point in found.items()
        if point is not None and point.outcome == "valid"
    }


def _status_now(folder: Path) -> dict[str, Any]:
    found = files.read_json(folder / files.STATUS)
    answer: dict[str, Any] = found if isinstance(found, dict) else {}
    if not answer:
        answer = {"state": "none", "revision": -1, "current": None, "planned": 0, "points": []}
    if answer["state"] == "running" and not is_held(folder / files.LOCK):
        # Read again: it may have ended between the two looks.
        again = files.read_json(folder / files.STATUS)
        answer = {**again, "state": "died"} if again["state"] == "running" else again
    job = files.read_json(folder / "job.json")
    answer["scenario"] = job["scenario"] if isinstance(job, dict) else None
    manifest = folder / MANIFEST
    answer["manifest_sha256"] = files.sha256(manifest) if manifest.exists() else None
    shared = folder.parent / files.LOCK
    answer["busy_with"] = shared.read_text().strip() if is_held(shared) else None
    return answer


def _provenance(job: Mapping[str, Any]) -> dict[str, Any]:
    base = job["target"].rpartition("/v1")[0] or job["target"]
    try:
        engine = json.loads(fetch(f"{base}/version")).get("version")
    except (OSError, ValueError, AttributeError):
        engine = None
    return {
        "engine": engine,
        "gpus": gpu_models(),
        "model": job["model"],
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def _stop(number: int, frame: FrameType | None) -> None:
    # Only once: what follows must not be cut off as well.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
