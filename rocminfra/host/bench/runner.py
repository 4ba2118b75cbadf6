"""Run a benchmark on the host, detached from the client that started it.

    runner.py run FOLDER                 run FOLDER/job.json to its end
    runner.py status FOLDER [--wait 15]  progress as one JSON object
    runner.py manifest FOLDER            manifest and sizes of all results so far, as JSON
    runner.py pack FOLDER                pack the results named on stdin, a JSON list, to stdout

A run's folder contains ``job.json``, one folder per point, and at the end ``run.json`` and
``MANIFEST.sha256``. The manifest is always written. A valid point never runs again.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

from rocminfra.host.bench import files, stage
from rocminfra.host.bench.control_group import Groups, Launcher
from rocminfra.host.bench.load_launcher import Elsewhere
from rocminfra.host.bench.lock import Busy, only_one
from rocminfra.host.bench.point import finished, run_point
from rocminfra.host.bench.provenance import collect, with_guidellm, with_load_generator
from rocminfra.host.bench.run_status import JOB, RunProgress, status
from rocminfra.host.bench.scopes import launcher
from rocminfra.host.bench.warm_launcher import WarmLauncher
from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.manifest import MANIFEST
from rocminfra.planning.bench.outcome_records import RunRecord
from rocminfra.planning.bench.points import (
    Finished,
    Point,
    never_run,
    next_points,
    planned_names,
)
from rocminfra.planning.bench.records import as_json, read
from rocminfra.planning.bench.retry import Patience


class Stopped(Exception):
    """This program received a signal to stop."""


def run(folder: Path, groups: Groups, patience: Patience | None = None) -> RunRecord:
    """Run ``job.json`` and return the record that is written to ``run.json``.

    + folder: the run's folder
    + groups: starts and ends processes on this host
    + patience: how long to wait before something counts as hung

    Raises :class:`Busy` when another benchmark runs on this host, and
    :class:`~rocminfra.planning.bench.records.RecordError` for a job of another version.
    """
    job = read(JobRecord, files.read_json(folder / JOB), JOB)
    stages = job.scenario.stages
    with only_one(folder), _starting(job, groups) as launch:
        # A run that says that it began has its job, whatever becomes of the power.
        files.sync(folder)
        progress = RunProgress(folder, job, len(planned_names(stages)))
        provenance = collect(job)
        valid, done = stage.kept(folder, stages)
        (folder / files.REFUSED).unlink(missing_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        state = "finished"
        try:
            for record in valid:
                progress.add(record, kept=True)
            while todo := next_points(stages, done):
                found = _one(job, todo[0], folder, launch, progress, patience, provenance.gpus)
                done.update(found)
        except Stopped:
            state = "stopped"
        ended = RunRecord(
            run=job.run,
            host=job.host,
            state=state,
            scenario=job.scenario.name,
            points=tuple(progress.records),
            never_run=never_run(stages, done),
            usd_per_hour=job.usd_per_hour,
            guidellm=job.guidellm_version,
            provenance=with_load_generator(
                with_guidellm(provenance, progress.records), job, progress.records
            ),
            started=progress.started,
            ended=round(time.time(), 3),
        )
        files.write_json(folder / "run.json", as_json(ended))
        files.write_manifest(folder)
        progress.end(state)
    return ended


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="benchmark runner")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("run", "status", "manifest", "pack"):
        verbs.add_parser(verb).add_argument("folder", type=Path)
    verbs.choices["status"].add_argument("--seen", type=int, default=-1)
    verbs.choices["status"].add_argument("--wait", type=float, default=0.0)
    verbs.choices["run"].add_argument("--unit", help="systemd unit that this runs in")
    options = parser.parse_args(arguments)
    if options.verb == "status":
        answer = status(options.folder, options.seen, options.wait)
        print(json.dumps(as_json(answer), sort_keys=True))
        return 0
    if options.verb == "manifest":
        print(json.dumps(files.listing(options.folder)))
        return 0
    if options.verb == "pack":
        files.pack(options.folder, json.load(sys.stdin), sys.stdout.buffer)
        return 0
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        record = run(options.folder, launcher(options.unit))
    except Busy as error:
        # The other may have ended when somebody asks why this one never began.
        files.write_atomic(options.folder / files.REFUSED, error.holder)
        print(error, file=sys.stderr)
        return 9
    return 0 if record.state == "finished" else 1


def _starting(job: JobRecord, groups: Groups) -> AbstractContextManager[Launcher]:
    """What starts GuideLLM for this run's points."""
    if job.load_generator is not None:
        return nullcontext(Elsewhere(job.load_generator))
    name = f"rocminfra-bench-{job.run}-guidellm"
    # Half of what a point may take on top of its load: a fresh start must still fit in the rest.
    return WarmLauncher(groups, name, job.scenario.overhead_seconds / 2)


def _one(
    job: JobRecord,
    point: Point,
    folder: Path,
    launch: Launcher,
    progress: RunProgress,
    patience: Patience | None,
    gpus: Sequence[Mapping[str, Any]],
) -> dict[str, Finished]:
    """Run a point, or a whole stage; what has an outcome now, by name."""
    target = folder / point.name
    files.set_aside(target)
    if point.stage is not None:
        stage.set_parts_aside(folder, point)
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
        gpus=[gpu.get("name") for gpu in gpus],
    )
    records = (record,) if point.stage is None else stage.split(job, record, folder)
    # The process of a whole stage is no point itself, unless nothing came of it.
    for one in records if len(records) == 1 else records[1:]:
        progress.add(one)
    return {one.point.name: finished(one) for one in records}


def _stop(number: int, frame: FrameType | None) -> None:
    # Only once: the cleanup must not be interrupted as well.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
