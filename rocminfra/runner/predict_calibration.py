"""A result folder as measurements that constants can be calibrated on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.planning.bench_points import Point, point_from_dict
from rocminfra.planning.calibration import Measured
from rocminfra.planning.prediction import Timing
from rocminfra.runner.errors import CommandError
from rocminfra.runner.exit_codes import ExitCode


def read_measured(run: Path) -> list[Measured]:
    """All valid points of a run with latencies.

    + run: such as ``results/20260513T101500Z``, or a host's folder below it

    Raises :class:`CommandError` when there are none.
    """
    hosts = [run] if (run / "job.json").is_file() else sorted(run.glob("*/"))
    found: list[Measured] = []
    for host in hosts:
        scenario = _json(host / "job.json").get("scenario")
        if not isinstance(scenario, Mapping):
            continue
        timing = Timing(
            float(scenario["max_seconds"]),
            float(scenario.get("warmup_seconds", 0.0)),
            scenario.get("max_requests"),
        )
        for file in sorted(host.glob("*/point.json")):
            measured = _measured(_json(file), timing)
            if measured is not None:
                found.append(measured)
    if not found:
        raise CommandError(
            ExitCode.SETTINGS,
            f"{run} holds no valid point to calibrate on",
            next_command="rocminfra bench --scenario synthetic_sweep",
        )
    return found


def _measured(record: Mapping[str, Any], timing: Timing) -> Measured | None:
    figures = record.get("figures")
    if record.get("outcome") != "valid" or not isinstance(figures, Mapping):
        return None
    prompt, output = figures.get("prompt_tokens_p50"), figures.get("output_tokens_p50")
    if not prompt or not output:
        return None
    point: Point = point_from_dict(record["point"])
    return Measured(
        point=point,
        timing=timing,
        prompt_tokens=round(prompt),
        output_tokens=round(output),
        pixels=figures.get("image_pixels_mean"),
        ttft_s=_seconds(figures.get("ttft_p50_ms")),
        itl_s=_seconds(figures.get("itl_p50_ms")),
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
