"""Whether a figure from outside is possible at all: the one gate for all of them.

GuideLLM, the engine's ``/metrics`` and amd-smi have all printed figures that cannot be: a time to
first token of minus 55 years, a KV cache that is 139 % full, an activity of 65,535 %. Such a figure
is not corrected and not left out in silence: it makes its point invalid, with the reason.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# Rounding of sums and means, in parts of the figure.
_ROUNDING = 1e-6
# A larger whole number does not fit a float.
_MOST = 1e300
# GuideLLM's statistics of a distribution that lie in order, and those that lie somewhere between.
_IN_ORDER = (
    *("min", "p001", "p01", "p05", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "p999", "max"),
)
_BETWEEN = ("median", "mean")
_OTHERS = ("mode", "variance", "std_dev", "count", "total_sum")
# The population that every figure of ours is taken from, and the metrics of which we take all
# requests together. The rest is about requests that were cut off or failed.
_POPULATION = "successful"
_ALL_TAKEN_OF = ("tokens_per_second",)
# No GPU draws or bears more (MI355X: 1,400 W; throttling begins at about 110 °C). What amd-smi
# prints for "unknown" in some versions, 65,535, lies beyond both.
_MOST_WATTS = 10_000.0
_MOST_CELSIUS = 1_000.0
_MOST_NAMED = 4


def number_problem(value: object, most: float | None = None, least: float = 0.0) -> str | None:
    """Why a number is none that can be measured, such as ``-3, below 0``; None when it is one.

    + value: the number; None and text are nobody's figure and no problem here
    + most, least: bounds
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}, which is not a number"
    if abs(value) > _MOST:
        return "beyond all that is measured"
    if value < least:
        return f"{value:,}, below {least:g}"
    if most is not None and value > most + _ROUNDING * abs(most):
        return f"{value:,}, above {most:g}"
    return None


def report_problems(benchmark: Mapping[str, Any]) -> tuple[str, ...]:
    """Which figures of a GuideLLM benchmark cannot be, a reason each, the first few.

    + benchmark: the benchmark of a report
    """
    reasons: list[str] = []
    duration = number_problem(benchmark.get("duration"))
    if duration is not None:
        reasons.append(f"impossible figure of GuideLLM: duration is {duration}")
    metrics = benchmark.get("metrics")
    if isinstance(metrics, Mapping):
        totals = metrics.get("request_totals")
        if isinstance(totals, Mapping):
            reasons += (f"impossible figure of GuideLLM: {one}" for one in _totals_problems(totals))
        for name, distribution in _distributions(metrics):
            problem = distribution_problem(distribution)
            if problem is not None:
                reasons.append(f"impossible figure of GuideLLM: {name}: {problem}")
    return _first(reasons)


def distribution_problem(distribution: Mapping[str, Any]) -> str | None:
    """What of one distribution cannot be, or None; nothing over nothing is in order.

    + distribution: ``mean``, ``median``, ``min``, ``max``, ``percentiles`` … of one population
    """
    if not distribution.get("count"):
        return None
    percentiles = distribution.get("percentiles")
    figures = {**(percentiles if isinstance(percentiles, Mapping) else {}), **distribution}
    for name in (*_BETWEEN, *_IN_ORDER, *_OTHERS):
        problem = number_problem(figures.get(name))
        if problem is not None:
            return f"{name} is {problem}"
    numbers = _numbers(figures)
    between = (_between_problem(name, numbers) for name in _BETWEEN)
    problems = (_order_problem(numbers), *between, _sum_problem(numbers))
    return next((problem for problem in problems if problem is not None), None)


def engine_problem(name: str, value: float, is_share: bool) -> str | None:
    """Why a value of the engine's ``/metrics`` cannot be, or None.

    + name: the series
    + is_share: whether it is a part of a whole, 0 to 1
    """
    problem = number_problem(value, 1.0 if is_share else None)
    return None if problem is None else f"impossible figure of the engine: {name} is {problem}"


def gpu_problems(sample: Mapping[str, Any]) -> tuple[str, ...]:
    """Which figures of one GPU cannot be, a reason each.

    + sample: figures by name, as ``rocminfra.host.bench.telemetry`` calls them; the name's end is
      the unit
    """
    reasons = []
    for name, value in sample.items():
        most = next((limit for unit, limit in _GPU_LIMITS.items() if name.endswith(unit)), None)
        problem = None if name == "gpu" else number_problem(value, most)
        if problem is not None:
            reasons.append(f"{name} is {problem}")
    if not reasons:
        numbers = _numbers(sample)
        used, total = numbers.get("vram_used_mib", 0.0), numbers.get("vram_total_mib")
        if total is not None and used > total:
            reasons.append(f"vram_used_mib is {used:,} of {total:,}")
    which = sample.get("gpu")
    return tuple(f"impossible figure of GPU {which}: {reason}" for reason in reasons)


def counted(reasons: Iterable[str]) -> tuple[str, ...]:
    """Each kind of reason once, with how often it came, the first few.

    + reasons: of many samples; those of one figure differ by its value only
    """
    first: dict[str, str] = {}
    times: dict[str, int] = {}
    for reason in reasons:
        figure = reason.partition(" is ")[0]
        first.setdefault(figure, reason)
        times[figure] = times.get(figure, 0) + 1
    return _first(
        [
            reason if times[figure] == 1 else f"{reason} (in {times[figure]} samples)"
            for figure, reason in first.items()
        ]
    )


_GPU_LIMITS = {"_percent": 100.0, "_w": _MOST_WATTS, "_c": _MOST_CELSIUS}


def _totals_problems(totals: Mapping[str, Any]) -> Iterator[str]:
    for name, value in totals.items():
        problem = number_problem(value)
        if problem is not None:
            yield f"request_totals.{name} is {problem}"
            return
    numbers = _numbers(totals)
    parts = [numbers.get(name) for name in ("successful", "errored", "incomplete")]
    known = [part for part in parts if part is not None]
    if len(known) == len(parts) and numbers.get("total", sum(known)) != sum(known):
        words = " + ".join(f"{part:g}" for part in known)
        yield f"request_totals: {words} requests are not the {numbers['total']:g} of its total"


def _distributions(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every distribution that a figure could be taken from; a medium's are one level deeper."""
    for name, value in metrics.items():
        if not isinstance(value, Mapping) or name == "request_totals":
            continue
        if not isinstance(value.get(_POPULATION), Mapping):
            for inner, distribution in _distributions(value):
                yield f"{name}.{inner}", distribution
            continue
        yield f"{name} of completed requests", value[_POPULATION]
        if name in _ALL_TAKEN_OF and isinstance(value.get("total"), Mapping):
            yield f"{name} of all requests", value["total"]


def _order_problem(figures: Mapping[str, float]) -> str | None:
    before = None
    for name in _IN_ORDER:
        if name not in figures:
            continue
        value = figures[name]
        if before is not None and figures[before] > value + _room(figures[before], value):
            return f"{before} is {figures[before]:,} and {name} only {value:,}"
        before = name
    return None


def _between_problem(name: str, figures: Mapping[str, float]) -> str | None:
    value = figures.get(name)
    if value is None:
        return None
    low, high = figures.get("min", value), figures.get("max", value)
    if value < low - _room(value, low):
        return f"{name} is {value:,}, below the least of {low:,}"
    if value > high + _room(value, high):
        return f"{name} is {value:,}, above the most of {high:,}"
    return None


def _sum_problem(figures: Mapping[str, float]) -> str | None:
    if not {"mean", "count", "total_sum"} <= figures.keys():
        return None
    mean, count, total = figures["mean"], figures["count"], figures["total_sum"]
    # Summing many figures rounds more than once.
    if abs(mean * count - total) <= 1_000 * _room(mean * count, total):
        return None
    return f"{count:,.0f} of them with a mean of {mean:,} do not add up to {total:,}"


def _numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in figures.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _room(one: float, other: float) -> float:
    return _ROUNDING * max(abs(one), abs(other), _ROUNDING)


def _first(reasons: list[str]) -> tuple[str, ...]:
    more = len(reasons) - _MOST_NAMED
    if more <= 0:
        return tuple(reasons)
    return (*reasons[:_MOST_NAMED], f"and {more} more that cannot be")
