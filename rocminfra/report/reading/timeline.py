"""The samples beside a point, ``metrics.jsonl`` and ``telemetry.jsonl``, as a time line."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocminfra.report.point_report import Energy, Moment, TimeSeries
from rocminfra.report.reading.lines import Lines, number, part

# Engine samples come every second, amd-smi's every two: a gap of more than this is worth saying.
GAP_S = 10.0
# Of a window, what the samples must span for its energy to be known.
_SPANNED = 0.8


@dataclass(frozen=True)
class Samples:
    """What was sampled beside a point.

    + series: the time line
    + energy_j: energy in the window from the GPUs' counters; None where they have none
    + power_mean_w: mean power in the window, of all GPUs together
    + problems: gaps and lines that cannot be read, a sentence each
    """

    series: TimeSeries
    energy_j: float | None
    power_mean_w: float | None
    problems: tuple[str, ...]


def read_samples(folder: Path, origin: float, window: tuple[float, float] | None) -> Samples:
    """The samples of a point.

    + folder: the point's
    + origin: Unix time of the point's start
    + window: Unix times of the measured window
    """
    problems: list[str] = []
    engine_lines = _timed(folder / "metrics.jsonl", problems)
    gpu_lines = _timed(folder / "telemetry.jsonl", problems)
    engine = _engine(engine_lines, origin)
    gpu = tuple(_gpu(at, line, origin) for at, line in gpu_lines)
    start, end = window if window is not None else (None, None)
    series = TimeSeries(
        engine,
        gpu,
        None if start is None else round(start - origin, 3),
        None if end is None else round(end - origin, 3),
    )
    power = None
    if window is not None:
        inside = [
            moment.power_w
            for moment in gpu
            if moment.power_w is not None and window[0] <= moment.at_s + origin <= window[1]
        ]
        power = sum(inside) / len(inside) if inside else None
    return Samples(series, _counted_energy(gpu_lines, window), power, tuple(problems))


def energy(found: Samples, tokens: float | None) -> Energy | None:
    """Energy of the measured window; the counters where they work, else the sampled power.

    + tokens: of all requests in the window
    """
    series = found.series
    joules = found.energy_j
    counted = joules is not None
    if joules is None:
        if found.power_mean_w is None or series.window_start_s is None:
            return None
        assert series.window_end_s is not None
        joules = found.power_mean_w * (series.window_end_s - series.window_start_s)
    return Energy(
        joules=joules,
        joules_per_token=joules / tokens if tokens else None,
        source="energy counter" if counted else "power samples",
    )


def _timed(path: Path, problems: list[str]) -> list[tuple[float, dict[str, Any]]]:
    """Lines with their times, in order; what is wrong with them is said."""
    lines = Lines(path)
    found: list[tuple[float, dict[str, Any]]] = []
    errors = backwards = 0
    for line in lines:
        at = number(line.get("time"))
        if at is None:
            lines.damaged += 1
            continue
        if "error" in line:
            errors += 1
        if found and at < found[-1][0]:
            backwards += 1
        found.append((at, line))
    if lines.damaged:
        problems.append(f"{lines.damaged} lines of {path.name} cannot be read")
    if errors:
        problems.append(f"{errors} of {len(found)} samples of {path.name} are errors")
    if backwards:
        problems.append(f"the clock went back {backwards} times in {path.name}")
    found.sort(key=lambda pair: pair[0])
    widest = max((b[0] - a[0] for a, b in itertools.pairwise(found)), default=0.0)
    if widest > GAP_S:
        problems.append(f"{path.name} has a gap of {widest:.0f} s")
    return found


def _engine(lines: Sequence[tuple[float, Mapping[str, Any]]], origin: float) -> tuple[Moment, ...]:
    found: list[Moment] = []
    first: float | None = None
    for at, line in lines:
        figures = part(line, "engine")
        if not figures:
            continue
        preemptions = number(figures.get("preemptions"))
        first = preemptions if first is None else first
        found.append(
            Moment(
                at_s=round(at - origin, 3),
                kv_usage=number(figures.get("kv_cache_usage")),
                running=number(figures.get("running")),
                waiting=number(figures.get("waiting")),
                preemptions=None
                if preemptions is None or first is None
                else max(0.0, preemptions - first),
            )
        )
    return tuple(found)


def _gpu(at: float, line: Mapping[str, Any], origin: float) -> Moment:
    return Moment(
        at_s=round(at - origin, 3),
        power_w=_summed(line, "power_w"),
        vram_mib=_summed(line, "vram_used_mib"),
    )


def _summed(line: Mapping[str, Any], name: str) -> float | None:
    """A figure of all GPUs together; None when one of them does not say it."""
    gpus = line.get("gpus")
    if not isinstance(gpus, list) or not gpus:
        return None
    figures = [number(gpu.get(name)) if isinstance(gpu, Mapping) else None for gpu in gpus]
    known = [figure for figure in figures if figure is not None]
    return sum(known) if len(known) == len(figures) else None


def _counted_energy(
    lines: Iterable[tuple[float, Mapping[str, Any]]], window: tuple[float, float] | None
) -> float | None:
    """Energy in the window from the counters, interpolated between samples.

    None when the samples do not span the window, or when a counter stands still or goes back.
    """
    if window is None or window[1] <= window[0]:
        return None
    readings = [
        (at, total) for at, line in lines if (total := _summed(line, "energy_j")) is not None
    ]
    if len(readings) < 2 or any(b[1] < a[1] for a, b in itertools.pairwise(readings)):
        return None
    start, end = max(window[0], readings[0][0]), min(window[1], readings[-1][0])
    length = window[1] - window[0]
    if end - start < _SPANNED * length:
        return None
    joules = (_at(readings, end) - _at(readings, start)) * length / (end - start)
    return joules if joules > 0 else None


def _at(readings: Sequence[tuple[float, float]], when: float) -> float:
    for (start, low), (end, high) in itertools.pairwise(readings):
        if start <= when <= end:
            return low if end == start else low + (high - low) * (when - start) / (end - start)
    return readings[-1][1]
