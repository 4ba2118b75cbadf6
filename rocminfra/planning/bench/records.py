"""The files of a benchmark as types: what is asked for, what came of it, how far it is.

``job.json``, ``point.json`` with its attempts, ``run.json`` and ``status.json``. The operator's
side and the host read and write them through this module only. A file of another version is refused
by name; keys that this version does not know are ignored.

Standard library only: this module also runs on the host, so annotations are texts there, and what
they say is what a value is checked against.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from rocminfra.planning.bench.points import Outcome, Point, Stage, StageKind

VERSION = 1

_T = TypeVar("_T")


class RecordError(ValueError):
    """A file that is not what a benchmark of this version writes; the message names it."""


@dataclass(frozen=True)
class ScenarioRecord:
    """What is measured, of ``job.json``; :class:`rocminfra.bench.scenario.Scenario` explains it."""

    name: str
    stages: tuple[Stage, ...]
    data: Mapping[str, Any]
    max_seconds: float
    warmup_seconds: float
    overhead_seconds: float
    min_completed: int
    max_error_rate: float
    sample_size: int
    seed: int
    worker_processes: int
    description: str = ""
    max_requests: int | None = None


@dataclass(frozen=True)
class JobRecord:
    """``job.json``: everything that the program on the host is told.

    + run: id of the run
    + host: name of the host
    + guidellm_python: the Python of GuideLLM's environment
    + target: base address of the engine, such as ``http://127.0.0.1:8000/v1``
    + metrics_url: of the engine
    + model: name under which the engine serves it
    + tokenizer: folder or repository
    + environment: variables of GuideLLM's process; no secret
    + usd_per_hour: price of the host
    """

    run: str
    host: str
    scenario: ScenarioRecord
    guidellm_python: str
    guidellm_version: str
    target: str
    metrics_url: str
    model: str
    tokenizer: str
    environment: Mapping[str, str]
    usd_per_hour: float | None = None
    version: int = VERSION


@dataclass(frozen=True)
class AttemptRecord:
    """One GuideLLM process, in ``point.json``.

    + number: from 1
    + verdict: how it went (:data:`rocminfra.planning.bench.retry.Verdict`)
    + why: what went wrong, or None when the process exited with 0
    + started, ended: Unix time, seconds
    + seconds: from start to end
    + start_seconds: from the start to the first request; None when nobody saw that
    + limit_seconds: its hard limit
    + exit_code: None when it was killed or did not start
    + last_line: of GuideLLM's log before it ended
    + stacks: file with the stacks of a hung process, or None
    + engine: the engine's counters afterwards
    + launcher: what our launcher says: patched or not, and why
    + folder: where its files are, when another attempt followed
    """

    number: int
    seed: int
    verdict: str
    why: str | None
    started: float
    ended: float
    seconds: float
    start_seconds: float | None
    limit_seconds: float
    exit_code: int | None
    last_line: str | None
    stacks: str | None
    engine: Mapping[str, Any] | None
    launcher: Mapping[str, Any] | None
    folder: str | None = None


@dataclass(frozen=True)
class PointRecord:
    """``point.json``: what came of a point.

    + outcome: ``valid``, ``invalid`` or ``failed``
    + reasons: why it is not valid
    + figures: as :class:`rocminfra.planning.bench.guidellm_report.Figures` has them, or None
    + engine: what the engine counted meanwhile, and its peaks
    + attempts: none in files of earlier versions
    """

    point: Point
    label: str
    outcome: Outcome
    reasons: tuple[str, ...]
    figures: Mapping[str, Any] | None
    exit_code: int | None
    engine: Mapping[str, Any]
    started: float
    wall_seconds: float
    attempts: tuple[AttemptRecord, ...] = ()
    version: int = VERSION


@dataclass(frozen=True)
class Provenance:
    """What was measured on; None where nobody could say.

    + engine: its version
    + gpus: as ``amd-smi`` names them
    """

    engine: str | None
    gpus: tuple[Mapping[str, Any], ...]
    model: str
    kernel: str
    machine: str
    cores: int | None


@dataclass(frozen=True)
class RunRecord:
    """``run.json``: what came of a run on one host.

    + state: ``finished`` or ``stopped``
    + never_run: names of points that could not run
    """

    run: str
    host: str
    state: str
    scenario: str
    points: tuple[PointRecord, ...]
    never_run: tuple[str, ...]
    usd_per_hour: float | None
    guidellm: str
    provenance: Provenance
    started: float
    ended: float
    version: int = VERSION


@dataclass(frozen=True)
class PointSummary:
    """A finished point, of ``status.json``."""

    name: str
    label: str
    outcome: str
    reasons: tuple[str, ...]
    wall_seconds: float
    attempts: int = 1


@dataclass(frozen=True)
class Repeat:
    """A point that is being tried once more, or was.

    + attempt: the number of the new attempt
    + why: what went wrong with the one before
    """

    name: str
    label: str
    attempt: int
    why: str


@dataclass(frozen=True)
class Progress:
    """``status.json``: how far a run is.

    + revision: grows with every change
    + current: label of the point that runs, or None
    + planned: number of points
    """

    run: str
    pid: int
    state: str
    revision: int
    current: str | None
    planned: int
    points: tuple[PointSummary, ...]
    repeats: tuple[Repeat, ...] = ()
    version: int = VERSION


@dataclass(frozen=True)
class Status:
    """The answer of the program on the host when it is asked how a run is.

    + state: ``none``, ``running``, ``finished``, ``stopped`` or ``died``
    + scenario: what the run measures; None when the host does not know it
    + manifest_sha256: digest of the finished run's manifest
    + busy_with: the run that this host works on, whichever that is
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
    version: int = VERSION


def as_json(record: Any) -> dict[str, Any]:
    """A record as plain JSON values."""
    return dataclasses.asdict(record)


def read(kind: type[_T], value: Any, name: str) -> _T:
    """A record from JSON values.

    + kind: one of this module's classes
    + value: what the file holds
    + name: the file's, for messages

    Raises :class:`RecordError` for another version, a missing key or a value of another type.
    """
    if isinstance(value, Mapping) and value.get("version", VERSION) != VERSION:
        raise RecordError(
            f"{name} has version {value['version']!r}; this rocminfra reads version {VERSION}"
        )
    found: _T = _record(kind, value, name)
    return found


def _record(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise RecordError(f"{where} is not a JSON object")
    given = {}
    for item in dataclasses.fields(kind):
        if item.name in value:
            given[item.name] = _value(str(item.type), value[item.name], f"{where}: {item.name}")
        elif item.default is dataclasses.MISSING:
            raise RecordError(f"{where} has no {item.name}")
    return kind(**given)


def _value(annotation: str, value: Any, where: str) -> Any:
    if annotation.endswith(" | None"):
        return None if value is None else _value(annotation[:-7], value, where)
    if annotation.startswith("tuple["):
        if not isinstance(value, (list, tuple)):
            raise RecordError(f"{where} is not a list")
        return tuple(_value(annotation[6:-6], item, where) for item in value)
    if annotation in _RECORDS:
        return _record(_RECORDS[annotation], value, where)
    if annotation.startswith("Mapping["):
        annotation = "Mapping"
    if annotation in _PLAIN and not _PLAIN[annotation](value):
        raise RecordError(f"{where} is {value!r}, which is not of type {annotation}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_PLAIN: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": _is_number,
    "Mapping": lambda value: isinstance(value, Mapping),
    "StageKind": lambda value: value in get_args(StageKind),
    "Outcome": lambda value: value in get_args(Outcome),
}
_RECORDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(ScenarioRecord, JobRecord, AttemptRecord, PointRecord, Provenance, RunRecord),
        *(PointSummary, Repeat, Stage, Point),
    )
}
