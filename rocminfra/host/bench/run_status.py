"""How far a run is: the runner keeps it in ``status.json``, and whoever asks reads it there.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from rocminfra.host.bench import files
from rocminfra.host.bench.live import live
from rocminfra.host.bench.lock import is_held
from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.manifest import MANIFEST
from rocminfra.planning.bench.outcome_records import AttemptRecord, PointRecord
from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.profiles import load_seconds, whole_stage
from rocminfra.planning.bench.progress import PointSummary, Progress, Repeat, Status
from rocminfra.planning.bench.records import as_json, read

JOB = "job.json"
_POLL_S = 0.2


class RunProgress:
    """Keeps a run's ``status.json`` up to date.

    + folder: the run's folder
    + job: what was asked for
    + planned: its number of points

    ``records`` has the points that are finished, ``started`` the run's Unix time.
    """

    def __init__(self, folder: Path, job: JobRecord, planned: int) -> None:
        self.started = round(time.time(), 3)
        self.records: list[PointRecord] = []
        self._folder = folder
        self._run = job.run
        self._planned = planned
        self._revision = 0
        self._point: Point | None = None
        self._point_started: float | None = None
        self._kept: set[str] = set()
        self._repeats: list[Repeat] = []
        self._write("running", None)

    def begin(self, point: Point) -> None:
        """Record that a point runs."""
        self._point = point
        self._point_started = round(time.time(), 3)
        self._write("running", point.label)

    def repeat(self, attempt: AttemptRecord) -> None:
        """Record that the current point is attempted again."""
        assert self._point is not None
        point = self._point
        self._repeats.append(Repeat(point.name, point.label, attempt.number + 1, attempt.why or ""))
        self._write("running", point.label)

    def add(self, record: PointRecord, kept: bool = False) -> None:
        """Record a finished point; ``kept`` from an earlier start of the run."""
        self.records.append(record)
        if kept:
            self._kept.add(record.point.name)
        self._write("running", None)

    def end(self, state: str) -> None:
        """Record that the run has ended: ``finished`` or ``stopped``."""
        self._write(state, None)

    def _write(self, state: str, current: str | None) -> None:
        self._revision += 1
        progress = Progress(
            run=self._run,
            pid=os.getpid(),
            state=state,
            revision=self._revision,
            current=current,
            planned=self._planned,
            points=tuple(
                _short(record, record.point.name in self._kept) for record in self.records
            ),
            # Includes points that are running.
            repeats=tuple(self._repeats),
            point=None if current is None or self._point is None else self._point.name,
            point_started=None if current is None else self._point_started,
            started=self.started,
        )
        files.write_json(self._folder / files.STATUS, as_json(progress))


def _short(record: PointRecord, kept: bool) -> PointSummary:
    return PointSummary(
        name=record.point.name,
        label=record.label,
        outcome=record.outcome,
        reasons=record.reasons,
        wall_seconds=record.wall_seconds,
        attempts=max(1, len(record.attempts)),
        kept=kept,
    )


def status(folder: Path, seen: int, wait_s: float) -> Status:
    """The status of a run.

    + folder: the run's folder
    + seen: revision that the caller has; a newer one is returned at once
    + wait_s: seconds to wait for a newer one
    """
    deadline = time.monotonic() + wait_s
    while True:
        answer = _status_now(folder)
        is_ended = answer.state not in ("none", "running") or answer.refused_for is not None
        is_news = is_ended or answer.revision > seen
        if is_news or time.monotonic() >= deadline:
            return answer
        time.sleep(_POLL_S)


def _status_now(folder: Path) -> Status:
    progress = _progress(folder)
    state = "none" if progress is None else progress.state
    if state == "running" and not is_held(folder / files.LOCK):
        # Read again: it may have ended between the two checks.
        progress = _progress(folder)
        if progress is not None:
            state = "died" if progress.state == "running" else progress.state
    value = files.read_json(folder / JOB)
    job = None if value is None else read(JobRecord, value, JOB)
    manifest = folder / MANIFEST
    shared = folder.parent / files.LOCK
    refused = folder / files.REFUSED
    refused_for = refused.read_text() if progress is None and refused.exists() else None
    return Status(
        state=state,
        revision=-1 if progress is None else progress.revision,
        current=None if progress is None else progress.current,
        planned=0 if progress is None else progress.planned,
        points=() if progress is None else progress.points,
        repeats=() if progress is None else progress.repeats,
        scenario=None if job is None else job.scenario,
        manifest_sha256=files.sha256(manifest) if manifest.exists() else None,
        busy_with=shared.read_text().strip() if is_held(shared) else None,
        refused_for=refused_for,
        live=None
        if job is None or progress is None or state != "running"
        else live(folder, progress, job.scenario.max_seconds, time.time(), _whole(job, progress)),
    )


def _whole(job: JobRecord, progress: Progress) -> float | None:
    """Length of the load of a process that runs a whole stage; None for a point of its own."""
    process = whole_stage(progress.point or "", job.scenario.stages)
    if process is None:
        return None
    return load_seconds(process, job.scenario.stages, job.scenario.max_seconds)


def _progress(folder: Path) -> Progress | None:
    value = files.read_json(folder / files.STATUS)
    return None if value is None else read(Progress, value, files.STATUS)
