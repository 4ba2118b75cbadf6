"""Whether what a GuideLLM report says is possible: the part of the gate for its distributions.

Written against report version 2 of GuideLLM 0.8.1. Standard library only: this module also runs
on the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rocminfra.planning.bench.possible import few, figure_problem, number_problem, numbers, room

# GuideLLM's statistics of a distribution that lie in order, and those that lie somewhere between.
_IN_ORDER = (
    *("min", "p001", "p01", "p05", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "p999", "max"),
)
_BETWEEN = ("median", "mode", "mean")
# Sums and squares of figures are larger than any figure.
_UNBOUNDED = ("variance", "total_sum")
# What nobody reads may be left empty.
_OTHERS = ("mode", "std_dev", *_UNBOUNDED)
# The population that every figure of ours is taken from, and the metrics of which we take all
# requests together. The rest is about requests that were cut off or failed.
_POPULATION = "successful"
_ALL_TAKEN_OF = ("tokens_per_second",)
# Metrics with one figure for each request, at the most.
_OF_REQUESTS = (
    *("request_latency", "time_to_first_token_ms", "time_to_first_output_token_ms"),
    *("prompt_token_count", "output_token_count", "total_token_count"),
)
# Nothing is measured for longer: a month, and three years, in milliseconds and seconds. A clock
# that is taken for a duration is 55 years.
_MOST_MS = 2.6e9
_MOST_S = 1e8
# Tokens and pixels of a request, and what is done in a second.
_MOST_OTHER = 1e12
_LATENCY = "request_latency"
# What cannot take longer than the longest request.
_WITHIN = {
    "time_to_first_token_ms": "a first token came after",
    "inter_token_latency_ms": "the time between two tokens was",
}
# Begin, end and duration come from one clock; GuideLLM 0.8.1 has them to the microsecond.
_MOST_APART_S = 1.0


def report_problems(benchmark: Mapping[str, Any]) -> tuple[str, ...]:
    """Which figures of a GuideLLM benchmark cannot be, a reason each, the first few.

    + benchmark: the benchmark of a report
    """
    reasons = list(_window_problems(benchmark))
    metrics = benchmark.get("metrics")
    if isinstance(metrics, Mapping):
        totals = metrics.get("request_totals")
        completed = None
        if isinstance(totals, Mapping):
            reasons += _totals_problems(totals)
            completed = numbers(totals).get("successful")
            if completed and numbers(benchmark).get("duration") == 0:
                reasons.append(f"duration is 0, and {completed:g} requests completed in it")
        for name, title, distribution in _distributions(metrics):
            problem = distribution_problem(distribution, _most(name))
            if problem is None and name in _OF_REQUESTS and completed is not None:
                problem = _count_problem(distribution, completed)
            if problem is not None:
                reasons.append(f"{title}: {problem}")
        reasons += _time_problems(metrics)
        problem = number_problem(metrics.get("slo_attainment"), 1.0)
        if problem is not None:
            reasons.append(f"slo_attainment is {problem}")
    return few([f"impossible figure of GuideLLM: {reason}" for reason in reasons])


def distribution_problem(distribution: Mapping[str, Any], most: float | None = None) -> str | None:
    """What of one distribution cannot be, or None; nothing over nothing is in order.

    + distribution: ``mean``, ``median``, ``min``, ``max``, ``percentiles`` … of one population
    + most: no figure of it is larger
    """
    count = distribution.get("count")
    percentiles = distribution.get("percentiles", {})
    if count is not None:
        problem = figure_problem(count)
        if problem is None and count != int(count):
            problem = f"{count:,}, and half of something is not counted"
        if problem is not None:
            return f"count is {problem}"
    if not isinstance(percentiles, Mapping):
        return "it has no percentiles" if count else None
    figures = {**percentiles, **distribution}
    if not count:
        return _nothing_problem(numbers(figures))
    for name in (*_BETWEEN, *_IN_ORDER, *_OTHERS):
        if name in figures and not (name in _OTHERS and figures[name] is None):
            problem = figure_problem(figures[name], None if name in _UNBOUNDED else most)
            if problem is not None:
                return f"{name} is {problem}"
    known = numbers(figures)
    problems = (
        _order_problem(known),
        *(_between_problem(name, known) for name in _BETWEEN),
        _median_problem(known),
        _sum_problem(known),
    )
    return next((problem for problem in problems if problem is not None), None)


def _window_problems(benchmark: Mapping[str, Any]) -> Iterator[str]:
    """Of begin, end and duration."""
    limits = {"duration": _MOST_S, "start_time": None, "end_time": None}
    wrong = False
    for name, most in limits.items():
        problem = figure_problem(benchmark[name], most) if name in benchmark else None
        if problem is not None:
            wrong = True
            yield f"{name} is {problem}"
    known = numbers(benchmark)
    if wrong or not {"start_time", "end_time"} <= known.keys():
        return
    passed = known["end_time"] - known["start_time"]
    duration = known.get("duration", max(passed, 0.0))
    if abs(passed - duration) > _MOST_APART_S:
        yield f"its end is {passed:,.1f} s after its start, and its duration {duration:,.1f} s"


def _totals_problems(totals: Mapping[str, Any]) -> Iterator[str]:
    for name, value in totals.items():
        problem = figure_problem(value)
        if problem is not None:
            yield f"request_totals.{name} is {problem}"
            return
    known = numbers(totals)
    parts = [known.get(name) for name in ("successful", "errored", "incomplete")]
    counts = [part for part in parts if part is not None]
    if len(counts) == len(parts) and known.get("total", sum(counts)) != sum(counts):
        words = " + ".join(f"{count:g}" for count in counts)
        yield f"request_totals: {words} requests are not the {known['total']:g} of its total"


def _distributions(
    metrics: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Metric, title and statistics of every distribution that a figure could be taken from; a
    medium's are one level deeper."""
    for name, value in metrics.items():
        if not isinstance(value, Mapping) or name == "request_totals":
            continue
        title = f"{prefix}{name}"
        if not isinstance(value.get(_POPULATION), Mapping):
            yield from _distributions(value, f"{title}.")
            continue
        yield name, f"{title} of completed requests", value[_POPULATION]
        if name in _ALL_TAKEN_OF and isinstance(value.get("total"), Mapping):
            yield name, f"{title} of all requests", value["total"]


def _most(metric: str) -> float:
    if metric.endswith("_ms"):
        return _MOST_MS
    return _MOST_S if metric.endswith(("_latency", "_delay")) else _MOST_OTHER


def _nothing_problem(known: Mapping[str, float]) -> str | None:
    """Figures over nothing: GuideLLM writes zeros."""
    if known.get("count") != 0:
        return None
    for name in (*_BETWEEN, *_IN_ORDER):
        if known.get(name):
            return f"count is 0, and {name} {known[name]:,}"
    return None


def _count_problem(distribution: Mapping[str, Any], completed: float) -> str | None:
    count = numbers(distribution).get("count", 0.0)
    if count <= completed:
        return None
    return f"count is {count:,.0f}, and {completed:,.0f} requests completed"


def _time_problems(metrics: Mapping[str, Any]) -> Iterator[str]:
    """A request's first token, and the time between two of its tokens, come before its end."""
    longest = _completed(metrics, _LATENCY).get("max")
    if longest is None:
        return
    for name, what in _WITHIN.items():
        part = _completed(metrics, name)
        latest = max((part[name] for name in ("median", *_IN_ORDER) if name in part), default=0.0)
        if latest > 1000 * longest + room(latest, 1000 * longest):
            yield (
                f"{what} {latest:,.1f} ms, and no request took longer than {1000 * longest:,.1f} ms"
            )


def _completed(metrics: Mapping[str, Any], name: str) -> dict[str, float]:
    part = metrics.get(name)
    part = part.get(_POPULATION) if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or not part.get("count"):
        return {}
    percentiles = part.get("percentiles")
    return numbers({**(percentiles if isinstance(percentiles, Mapping) else {}), **part})


def _order_problem(figures: Mapping[str, float]) -> str | None:
    before = None
    for name in _IN_ORDER:
        if name not in figures:
            continue
        value = figures[name]
        if before is not None and figures[before] > value + room(figures[before], value):
            return f"{before} is {figures[before]:,} and {name} only {value:,}"
        before = name
    return None


def _between_problem(name: str, figures: Mapping[str, float]) -> str | None:
    value = figures.get(name)
    if value is None:
        return None
    low, high = figures.get("min", value), figures.get("max", value)
    if value < low - room(value, low):
        return f"{name} is {value:,}, below the least of {low:,}"
    if value > high + room(value, high):
        return f"{name} is {value:,}, above the most of {high:,}"
    return None


def _median_problem(figures: Mapping[str, float]) -> str | None:
    """The median is the 50th percentile."""
    median, half = figures.get("median"), figures.get("p50")
    if median is not None and half is not None and abs(median - half) > room(median, half):
        return f"median is {median:,} and p50 {half:,}"
    if median is None or half is not None:
        return None
    return _order_problem({**figures, "p50": median})


def _sum_problem(figures: Mapping[str, float]) -> str | None:
    if not {"mean", "count", "total_sum"} <= figures.keys():
        return None
    mean, count, total = figures["mean"], figures["count"], figures["total_sum"]
    # Summing many figures rounds more than once.
    if abs(mean * count - total) <= 1_000 * room(mean * count, total):
        return None
    return f"{count:,.0f} of them with a mean of {mean:,} do not add up to {total:,}"
