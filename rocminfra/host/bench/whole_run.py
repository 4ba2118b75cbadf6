"""All points of a run on the host, one after the other, and its record at the end.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rocminfra.host.bench import files, stage
from rocminfra.host.bench.control_group import Groups, Launcher
from rocminfra.host.bench.load_launcher import Elsewhere
from rocminfra.host.bench.lock import only_one
from rocminfra.host.bench.point import finished, run_point
from rocminfra.host.bench.provenance import collect, with_guidellm, with_load_generator
from rocminfra.host.bench.run_status import JOB, RunProgress
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
    """Raised in :func:`run` by a signal to stop: what was measured is kept and listed."""


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
