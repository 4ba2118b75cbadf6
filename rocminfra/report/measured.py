"""A result folder as measurements that constants can be calibrated on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rocminfra.failure import Do, ExitCode, FailedError
from rocminfra.planning.bench.points import Point, point_from_dict
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
        job = host / "job.json"
        scenario = _json(job).get("scenario")
        if not isinstance(scenario, Mapping):
            continue
        timing = _read(job, partial(_timing, scenario))
        for file in sorted(host.glob("*/point.json")):
            measured = _read(file, partial(_measured, _json(file), timing))
            if measured is not None:
                found.append(measured)
    if not found:
        raise FailedError(
            ExitCode.SETTINGS, f"{run} holds no valid point to calibrate on", next=_MEASURE
        )
    return found


def _read(file: Path, read: Callable[[], _T]) -> _T:
    """What ``read`` makes of a file, or :class:`FailedError` with the file's name."""
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FailedError(
            ExitCode.SETTINGS,
            f"{file} is not what a benchmark writes",
            (f"{type(error).__name__}: {error}",),
            _MEASURE,
        ) from None


def _timing(scenario: Mapping[str, Any]) -> Timing:
    most = scenario.get("max_requests")
    return Timing(
        _positive(scenario["max_seconds"]),
        float(scenario.get("warmup_seconds") or 0.0),
        None if most is None else round(_positive(most)),
    )


def _measured(record: Mapping[str, Any], timing: Timing) -> Measured | None:
    figures = record.get("figures")
    if record.get("outcome") != "valid" or not isinstance(figures, Mapping):
        return None
    prompt, output = figures.get("prompt_tokens_p50"), figures.get("output_tokens_p50")
    if not prompt or not output:
        return None
    pixels = figures.get("image_pixels_mean")
    point: Point = point_from_dict(record["point"])
    return Measured(
        point=point,
        timing=timing,
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


def _json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
