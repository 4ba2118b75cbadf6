"""The files of a benchmark as types: the request, the outcome and the progress.

``job.json``, ``point.json`` with its attempts, ``run.json`` and ``status.json``. Both the
operator's machine and the host read and write them only through this module. A file of another
version is refused by name; unknown keys are ignored.

Standard library only: this module also runs on the host. Annotations are strings at run time, and
values are checked against them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from rocminfra.planning.bench.points import Outcome, Point, Stage, StageKind

VERSION = 1
# The record of a process that ran a whole stage, in its folder instead of `point.json`.
STAGE = "stage.json"

_T = TypeVar("_T")


class RecordError(ValueError):
    """A file that does not have this version's format; the message names it."""


@dataclass(frozen=True)
class ScenarioRecord:
    """The scenario in ``job.json``; see :class:`rocminfra.bench.scenario.Scenario`."""

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
    slo: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class LoadRecord:
    """The host that GuideLLM runs on, when it is not the engine's own.

    + host: its name
    + way: how it reaches the engine: ``SSH tunnel`` or ``private address``
    + link: folder on the engine's host with the run's key and the way to that host
    """

    host: str
    way: str
    link: str


@dataclass(frozen=True)
class JobRecord:
    """``job.json``: the complete input of the program on the host.

    + run: id of the run
    + host: name of the host
    + guidellm_python: the Python of GuideLLM's environment
    + target: base address of the engine, such as ``http://127.0.0.1:8000/v1``
    + metrics_url: address of the engine's metrics
    + model: name under which the engine serves it
    + tokenizer: its folder or repository
    + environment: variables of GuideLLM's process, without secrets
    + usd_per_hour: the host's price
    + step_bytes: weights that every step of the model's decoder reads; None when unknown
    + gpu_bandwidths: published memory bandwidth in bytes a second, by product name
    + container: name of the engine's container on this host; None when it runs elsewhere
    + model_revision: commit, tag or branch of the model; None for ``main``
    + software: ``version`` and ``commit`` of rocminfra, and ``settings_sha256``
    + datasets: folder of data sets that are made on the host
    + load_generator: the host that GuideLLM runs on; None for this one
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
    step_bytes: float | None = None
    gpu_bandwidths: Mapping[str, Any] | None = None
    container: str | None = None
    model_revision: str | None = None
    software: Mapping[str, Any] | None = None
    datasets: str = ""
    load_generator: LoadRecord | None = None
    version: int = VERSION


@dataclass(frozen=True)
class AttemptRecord:
    """One GuideLLM process, in ``point.json``.

    + number: from 1
    + verdict: how it ended (:data:`rocminfra.planning.bench.retry.Verdict`)
    + why: what went wrong, or None when the process exited with code 0
    + started, ended: Unix time, seconds
    + seconds: from start to end
    + start_seconds: from start to first request; None if that was not observed
    + limit_seconds: its hard time limit
    + exit_code: None when it was killed or did not start
    + last_line: last line of GuideLLM's log
    + stacks: file with the stacks of a hung process, or None
    + engine: the engine's counters afterwards
    + launcher: the launcher's record: patched or not, and why
    + folder: folder of its files, if another attempt followed
    + telemetry: ``cpu_seconds`` that sampling took, and ``sources`` of each GPU figure: ``driver``,
      ``amd-smi`` or None
    + load_generator: of another host that GuideLLM ran on: ``system``, ``kernel``, ``machine``,
      ``cores``, and ``clock``, how far its clock was from this host's
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
    telemetry: Mapping[str, Any] | None = None
    load_generator: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class PointRecord:
    """``point.json``: the outcome of a point.

    + outcome: ``valid``, ``invalid`` or ``failed``
    + reasons: why it is not valid
    + figures: as in :class:`rocminfra.planning.bench.guidellm_report.Figures`, or None
    + engine: what was seen of the engine: ``counted`` (by how much its counters rose), ``peaks``,
      ``configuration``, ``itl_floor_ms``, and what could not be compared (``unchecked``)
    + attempts: empty in files of earlier versions
    + stage: folder of the process that ran a whole stage, this point included; None for a process
      of its own
    + conclusion: of a whole stage, what GuideLLM's search found
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
    stage: str | None = None
    conclusion: Mapping[str, Any] | None = None
    version: int = VERSION


@dataclass(frozen=True)
class Provenance:
    """The system under test; None where unknown, and ``unknown`` says why.

    + engine: version of the engine
    + gpus: of each GPU ``name``, ``driver``, ``device``, ``firmware``, ``vbios``, ``power_cap_w``,
      ``gfx_clock_max_mhz`` and ``memory_clock_max_mhz``
    + system: name of the operating system
    + rocm: version of ROCm on the host; the image has its own
    + image, image_id, image_digest: reference, id and registry digest of the engine's image
    + engine_arguments: of ``vllm serve``
    + model_revision: commit of a model of the hub
    + model_files: ``bytes`` and ``sha256`` of each of the model's files
    + guidellm: ``version`` that ran, whether it was ``patched``, and ``why``
    + rocminfra: ``version``, ``commit`` and ``settings_sha256``
    + load_generator: the host that GuideLLM ran on, and the way it reached the engine; None for the
      engine's own
    + unknown: why, by name of what is None
    """

    engine: str | None
    gpus: tuple[Mapping[str, Any], ...]
    model: str
    kernel: str
    machine: str
    cores: int | None
    system: str | None = None
    rocm: str | None = None
    image: str | None = None
    image_id: str | None = None
    image_digest: str | None = None
    engine_arguments: tuple[str, ...] | None = None
    model_revision: str | None = None
    model_files: Mapping[str, Any] | None = None
    guidellm: Mapping[str, Any] | None = None
    rocminfra: Mapping[str, Any] | None = None
    load_generator: Mapping[str, Any] | None = None
    unknown: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class RunRecord:
    """``run.json``: the outcome of a run on one host.

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
    live: Live | None = None
    version: int = VERSION


def as_json(record: Any) -> dict[str, Any]:
    """A record as plain JSON values."""
    return dataclasses.asdict(record)


def read(kind: type[_T], value: Any, name: str) -> _T:
    """A record from JSON values.

    + kind: one of this module's classes
    + value: the file's contents
    + name: the file's name, for messages

    Raises :class:`RecordError` for another version, a missing key or a value of the wrong type.
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
        elif item.default is item.default_factory is dataclasses.MISSING:
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
        raise RecordError(f"{where} is {value!r}, but must be of type {annotation}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_PLAIN: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": _is_number,
    "bool": lambda value: isinstance(value, bool),
    "Mapping": lambda value: isinstance(value, Mapping),
    "StageKind": lambda value: value in get_args(StageKind),
    "Outcome": lambda value: value in get_args(Outcome),
}
_RECORDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(ScenarioRecord, LoadRecord, JobRecord, AttemptRecord, PointRecord, Provenance, RunRecord),
        *(PointSummary, Repeat, Live, Stage, Point),
    )
}
