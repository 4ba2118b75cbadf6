"""Downloads on the host, seen from here: one of a kind at a time, for what is wanted now.

A download that an earlier run has begun is waited for when it is the same; one that was given up
ends when another is asked for.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from pyinfra import host, logger
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.facts.systemd_unit import SystemdUnit
from rocminfra.failure import Again, Do, Failure, Fault, Next
from rocminfra.host.programs import fetching
from rocminfra.host_paths import FETCH_PROGRAMS
from rocminfra.operations import host_files, host_job
from rocminfra.operations.commands import Commands
from rocminfra.operations.fresh_host import Time
from rocminfra.operations.host_job import Ended, Job, Running, Shown

# Nothing that still makes progress takes longer; what makes none ends much earlier.
DEADLINE_S = 24 * 3600.0
_FAULTS = {
    "space": Fault.HOST_DISK_FULL,
    "denied": Fault.DOWNLOAD_DENIED,
    "absent": Fault.DOWNLOAD_NOT_FOUND,
    "unreachable": Fault.DOWNLOAD_UNREACHABLE,
    "stalled": Fault.DOWNLOAD_STALLED,
}


def programs() -> Commands:
    """Commands that install what downloads run on the host."""
    files = [host_files.HostFile(path, text) for path, text in fetching().items()]
    yield from host_files.present._inner(files)


def call(module: str, arguments: Sequence[str]) -> str:
    """Shell words that run a module of ``host/fetch``."""
    words = ["env", f"PYTHONPATH={FETCH_PROGRAMS}", "PYTHONDONTWRITEBYTECODE=1"]
    return shlex.join([*words, "python3", "-m", f"rocminfra.host.fetch.{module}", *arguments])


def begin(host: Host, job: Job, secret: str = "") -> Ended | None:
    """See that a job runs, for what is wanted now; why it does not, or None.

    + secret: as for :func:`host_job.start`
    """
    found = host_job.look(host, job.unit)
    if isinstance(found, Running):
        if found.target == job.target:
            host.log(f"under way since an earlier run: {job.doing}", logger.info)
            return None
        other = found.target or "something else"
        host.log(f"ended: the download of {other}, which is no longer wanted", logger.info)
        host_job.stop(host, job.unit)
    return host_job.start(host, job, secret)


def fetch(host: Host, job: Job, secret: str = "", clock: Time | None = None) -> Failure | None:
    """Download something, and wait for it; why it is not there, or None."""
    clock = clock or Time()
    # Again, when the one of an earlier run was only about to fail, or was killed with its host.
    for attempt in (1, 2):
        early = begin(host, job, secret)
        rate = _Rate(job.doing)
        ended: Ended | Running | None = early or host_job.watch(
            host, job, DEADLINE_S, rate.shown, clock
        )
        if not isinstance(ended, Ended):
            return _unfinished(job, lost=ended is None)
        if ended.code == 0:
            host_job.forget(host, job.unit)
            return None
        if ended.code is not None or early is not None or attempt > 1:
            return failure(job, ended)
    raise AssertionError("the second attempt returns")


def given_up(unit: str) -> Commands:
    """Commands that end a download which is under way although nothing of its kind is wanted."""
    found = host.get_fact(SystemdUnit, unit=f"{unit}.service")
    if found is not None and found.active_state in ("active", "activating"):
        yield FunctionCommand(_end, (unit,), {})


def _end(state: State, host: Host, unit: str) -> bool:
    found = host_job.look(host, unit)
    if isinstance(found, Running):
        other = found.target or "something else"
        host.log(f"ended: the download of {other}, which is no longer wanted", logger.info)
    return host_job.stop(host, unit)


def failure(job: Job, ended: Ended) -> Failure:
    """Why a download has failed, as it said itself."""
    said = _read(ended.status)
    what = said.get("error")
    log = tuple(line for line in ended.log if line.strip())[-20:]
    if not isinstance(what, str):
        lost = () if ended.code is not None else (f"{job.unit} ended without an exit code",)
        return Failure(Fault.DOWNLOAD_FAILED, f"failed: {job.doing}", (*log, *lost), Again())
    kind = str(said.get("kind"))
    fault = _FAULTS.get(kind, Fault.DOWNLOAD_FAILED)
    following: dict[str, Next] = {
        "space": Do("make room on the host (du -xhd2 shows what takes it), or use a larger disk"),
        "denied": Again(
            "accept the model's conditions on the hub, or log in to the registry, and pass a token "
            "that may read it (HF_TOKEN), then"
        ),
        "absent": Again("look at the name and the revision, then"),
        "unreachable": Again("see that the host reaches it (a proxy, huggingface.endpoint), then"),
    }
    # What the programs printed is the evidence where they did not say it themselves.
    why = tuple(line for line in log if line != what) if kind in ("failed", "stalled") else ()
    return Failure(fault, what, why, following.get(kind, Again()))


class _Rate:
    """What to say of a download: bytes, rate over the last half minute, time left."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._seen: list[tuple[float, int]] = []

    def shown(self, status: str, seconds: float) -> Shown:
        said = _read(status)
        done, total, note = said.get("done"), said.get("total"), str(said.get("note") or "")
        words = f"{self._doing}: {seconds:.0f} s"
        if not isinstance(done, int):
            return Shown(f"{words}; {note}" if note else words)
        self._seen = [item for item in self._seen if item[0] >= seconds - 30] + [(seconds, done)]
        whole = total if isinstance(total, int) else None
        words = f"{self._doing}: {sized(done)}" + (f" of {sized(whole)}" if whole else "")
        (first, before), (now, after) = self._seen[0], self._seen[-1]
        rate = (after - before) / (now - first) if now > first else 0.0
        if rate > 0:
            words += f", {sized(rate)}/s"
            if whole is not None:
                words += f", {_time(max(0, whole - done) / rate)} left"
        return Shown(f"{words}; {note}" if note else words, done, whole)


def sized(count: float) -> str:
    """Bytes as people say them: 12.3 GB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _read(status: str) -> dict[str, Any]:
    try:
        said = json.loads(status)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _unfinished(job: Job, lost: bool) -> Failure:
    if lost:
        what = f"the connection was lost; it goes on there: {job.doing}"
        return Failure(Fault.CONNECTION_LOST, what, next=Again())
    return Failure(
        Fault.DOWNLOAD_NOT_DONE,
        f"not done after {DEADLINE_S / 3600:.0f} h: {job.doing}",
        next=Do(f"on the host: systemctl status {job.unit}"),
    )
