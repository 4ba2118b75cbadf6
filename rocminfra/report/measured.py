"""A result folder as measurements that constants can be calibrated on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.planning.bench.job_record import JobRecord, ScenarioRecord
from rocminfra.planning.bench.outcome_records import PointRecord
from rocminfra.planning.bench.records import read
from rocminfra.planning.prediction.calibration import Measured
from rocminfra.planning.prediction.predict import Timing

_T = TypeVar("_T")
_MEASURE = Do("rocminfra bench --scenario synthetic_sweep")


def read_measured(run: Path) -> list[Measured]:
    """All valid points of a run with latencies.

    + run: such as ``results/20260513T101500Z``, or a host's folder below it

    Raises :class:`FailedError` when there are none.
    """
    hosts = [run] if (run / "job.json").is_file() else sorted(run.glob("*/"))
    found: list[Measured] = []
    for host in hosts:
        job = _read(JobRecord, host / "job.json")
        if job is None:
            continue
        for file in sorted(host.glob("*/point.json")):
            record = _read(PointRecord, file)
            measured = None if record is None else _checked(file, record, job.scenario)
            if measured is not None:
                found.append(measured)
    if not found:
        raise FailedError(
            Fault.RUN_CANNOT_CALIBRATE, f"{run} holds no valid point to calibrate on", next=_MEASURE
        )
    return found


def _read(kind: type[_T], file: Path) -> _T | None:
    """A record; None when there is no file, :class:`FailedError` when it holds something else."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return None
    try:
        return read(kind, json.loads(text), file.name)
    except ValueError as error:
        raise _unusable(file, error) from None


def _checked(file: Path, record: PointRecord, scenario: ScenarioRecord) -> Measured | None:
    try:
        return _measured(record, scenario)
    except (TypeError, ValueError, OverflowError) as error:
        raise _unusable(file, error) from None


def _unusable(file: Path, error: Exception) -> FailedError:
    return FailedError(
        Fault.RESULTS_UNREADABLE,
        f"{file} is not what a benchmark writes",
        (f"{type(error).__name__}: {error}",),
        _MEASURE,
    )


def _measured(record: PointRecord, scenario: ScenarioRecord) -> Measured | None:
    figures = record.figures
    if record.outcome != "valid" or figures is None:
        return None
    prompt, output = figures.get("prompt_tokens_p50"), figures.get("output_tokens_p50")
    if not prompt or not output:
        return None
    pixels = figures.get("image_pixels_mean")
    return Measured(
        point=record.point,
        timing=Timing(
            _positive(scenario.max_seconds), scenario.warmup_seconds, scenario.max_requests
        ),
        prompt_tokens=round(_positive(prompt)),
        output_tokens=round(_positive(output)),
        pixels=None if pixels is None else _positive(pixels),
        ttft_s=_seconds(figures.get("ttft_p50_ms")),
        itl_s=_seconds(figures.get("itl_p50_ms")),
    )


def _positive(value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{value} is not above 0")
    return number


def _seconds(milliseconds: Any) -> float | None:
    # Zero is what a statistic of nothing is: answers of one token have no time between tokens.
    if milliseconds is None or milliseconds == 0:
        return None
    return _positive(milliseconds) / 1000
