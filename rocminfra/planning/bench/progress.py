"""The progress of a benchmark: ``status.json``, and the answer to a status query.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.planning.bench.job_record import ScenarioRecord
from rocminfra.planning.bench.records import VERSION


@dataclass(frozen=True)
class PointSummary:
    """A finished point in ``status.json``.

    + kept: measured by an earlier attempt at this run
    """

    name: str
    label: str
    outcome: str
    reasons: tuple[str, ...]
    wall_seconds: float
    attempts: int = 1
    kept: bool = False


@dataclass(frozen=True)
class Repeat:
    """A point that is or was repeated.

    + attempt: number of the new attempt
    + why: what went wrong with the previous one
    """

    name: str
    label: str
    attempt: int
    why: str


@dataclass(frozen=True)
class Progress:
    """``status.json``: the progress of a run.

    + revision: increases with every change
    + current: label of the running point, or None
    + planned: number of points
    + point, point_started: name of the running point, and when it began (Unix time, seconds)
    + started: when this attempt at the run began
    """

    run: str
    pid: int
    state: str
    revision: int
    current: str | None
    planned: int
    points: tuple[PointSummary, ...]
    repeats: tuple[Repeat, ...] = ()
    point: str | None = None
    point_started: float | None = None
    started: float | None = None
    version: int = VERSION


@dataclass(frozen=True)
class Live:
    """How far a running point and its run are; None for what the engine does not say.

    + label, number, planned: the point, from 1, and how many there are
    + point_s, point_expected_s: seconds since the point began, and about how long it takes
    + run_s, run_expected_s: the same of this attempt at the run
    + requests: completed since the point began, by the engine's counter
    + tokens_per_second: in and out, over the last seconds
    + kv_cache_usage: 0 to 1
    + running, waiting: requests in the engine
    """

    label: str
    number: int
    planned: int
    point_s: float
    point_expected_s: float
    run_s: float
    run_expected_s: float
    requests: float | None = None
    tokens_per_second: float | None = None
    kv_cache_usage: float | None = None
    running: float | None = None
    waiting: float | None = None


@dataclass(frozen=True)
class Status:
    """The answer to a status query.

    + state: ``none``, ``running``, ``finished``, ``stopped`` or ``died``
    + scenario: the run's scenario; None when the host does not know the run
    + manifest_sha256: digest of the finished run's manifest
    + busy_with: the run that is active on this host, if any
    + refused_for: of a run that never began: the one that was active then
    + live: how far the running point is
    """

    state: str
    revision: int
    current: str | None
    planned: int
    points: tuple[PointSummary, ...]
    repeats: tuple[Repeat, ...]
    scenario: ScenarioRecord | None
    manifest_sha256: str | None
    busy_with: str | None
    refused_for: str | None = None
    live: Live | None = None
    version: int = VERSION
