"""The outcome of a benchmark: ``point.json`` with its attempts, and ``run.json``.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocminfra.planning.bench.points import Outcome, Point
from rocminfra.planning.bench.records import VERSION

# The record of a process that ran a whole stage, in its folder instead of `point.json`.
STAGE = "stage.json"


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
    + launcher: the launcher's record: patched or not, and why; ``process`` is ``fresh``, or
      ``forked`` from a warm one, and ``why_fresh`` says why none was used
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
