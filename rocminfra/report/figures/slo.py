"""Objectives of the reader: ``ttft_p95=2s,itl_p95=100ms``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import or_
from typing import Literal

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.report.point_report import Figures, Percentiles, PointReport, SloOutcome
from rocminfra.report.reading.requests import OUTCOMES, Requests
from rocminfra.report.summary import SloSummary

Metric = Literal["ttft", "itl", "e2e"]
Percentile = Literal["p50", "p95", "p99"]
# What the verdict speaks of when the reader gives none.
DEFAULT = "ttft_p95=2s"
NAMES: dict[Metric, str] = {"ttft": "TTFT", "itl": "ITL", "e2e": "end-to-end latency"}
_PART = re.compile(r"^\s*(ttft|itl|e2e)_(p50|median|p95|p99)\s*=\s*([0-9.]+)\s*(ms|s)\s*$")
_COMPLETED, _INCOMPLETE = OUTCOMES.index("completed"), OUTCOMES.index("incomplete")


@dataclass(frozen=True)
class Limit:
    """One objective: a percentile of a latency, at most ``seconds``."""

    metric: Metric
    percentile: Percentile
    seconds: float

    @property
    def name(self) -> str:
        """As it is given, such as ``ttft_p95``."""
        return f"{self.metric}_{self.percentile}"

    @property
    def words(self) -> str:
        """Such as ``TTFT p95 under 2 s``."""
        return f"{NAMES[self.metric]} {self.percentile} under {duration(self.seconds)}"


def duration(seconds: float) -> str:
    """Seconds as a person writes them: ``2 s``, ``100 ms``."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.4g} s"


def parse(text: str) -> tuple[Limit, ...]:
    """Objectives as they are given on the command line.

    Raises :class:`FailedError` for anything else.
    """
    found: list[Limit] = []
    for item in text.split(","):
        match = _PART.match(item)
        seconds = _positive(match) if match is not None else None
        if match is None or seconds is None:
            raise FailedError(
                Fault.OPTION_INVALID,
                f"{item.strip()!r} is no objective",
                ("metrics are ttft, itl and e2e; percentiles p50, p95 and p99; units s and ms",),
                Do("give it like this: --slo ttft_p95=2s,itl_p95=100ms"),
            )
        percentile = "p50" if match[2] == "median" else match[2]
        limit = Limit(match[1], percentile, seconds)  # type: ignore[arg-type]
        if any(limit.name == other.name for other in found):
            raise FailedError(
                Fault.OPTION_INVALID,
                f"{limit.name} is given twice",
                next=Do("give each objective once, such as --slo ttft_p95=2s,itl_p95=100ms"),
            )
        found.append(limit)
    return tuple(found)


def outcome(point: PointReport, requests: Requests, limits: Sequence[Limit]) -> SloOutcome:
    """A point against the objectives.

    + point: the point
    + requests: its requests, or a sample of them

    Goodput counts the requests that met every limit themselves, as in "DistServe" (OSDI 2024);
    a request that failed met none. Requests in flight at the end are not judged.
    """
    if not point.is_valid or point.figures is None:
        return SloOutcome(None, None, None, ("the point is not valid",))
    misses = tuple(text for limit in limits if (text := _miss(point.figures, limit)) is not None)
    columns = {"ttft": requests.ttft, "itl": requests.itl, "e2e": requests.latency}
    over = bytearray(len(requests))
    for limit in limits:
        # A comparison with NaN is False: a gap that does not exist exceeds nothing.
        found = (value > limit.seconds for value in columns[limit.metric])
        over = bytearray(map(or_, over, found))
    judged = len(requests) - requests.outcome.count(_INCOMPLETE)
    good = sum(
        kind == _COMPLETED and not missed
        for kind, missed in zip(requests.outcome, over, strict=True)
    )
    attained = good / judged if judged else None
    figures = point.figures
    rate = None
    if attained is not None and figures.requests_per_s is not None and figures.completed:
        finished = figures.requests_per_s * (1 + figures.errored / figures.completed)
        rate = attained * finished
    return SloOutcome(not misses, rate, attained, misses)


def summary(points: Sequence[PointReport], limits: Sequence[Limit]) -> SloSummary:
    """The highest load that meets all objectives, of points that were judged."""
    pairs = tuple((limit.name, limit.seconds) for limit in limits)
    words = " and ".join(limit.words for limit in limits)
    judged = [
        (point.figures.requests_per_s, point)
        for point in points
        if point.is_valid
        and point.slo is not None
        and point.figures is not None
        and point.figures.requests_per_s is not None
    ]
    judged.sort(key=lambda pair: pair[0])
    if not judged:
        return SloSummary(pairs, None, f"no valid point says anything about {words}")
    met = [(rate, point) for rate, point in judged if point.slo is not None and point.slo.met]
    if not met:
        return SloSummary(pairs, None, f"no load of this run has {words}")
    rate, highest = met[-1]
    text = f"serves up to {rate:.3g} requests/s with {words}"
    below = [point.load.label for lower, point in judged if lower < rate and not _is_met(point)]
    if below:
        text += f" (though {', '.join(below)} missed it at less)"
    return SloSummary(pairs, highest.name, text)


def _is_met(point: PointReport) -> bool:
    return point.slo is not None and bool(point.slo.met)


def _miss(figures: Figures, limit: Limit) -> str | None:
    found: Percentiles = {
        "ttft": figures.ttft_s,
        "itl": figures.itl_s,
        "e2e": figures.latency_s,
    }[limit.metric]
    values = {"p50": found.median, "p95": found.p95, "p99": found.p99}
    value = values[limit.percentile]
    if value is None:
        single = figures.output_tokens_median is not None and figures.output_tokens_median < 2
        if limit.metric == "itl" and single:
            return None
        return f"{NAMES[limit.metric]} {limit.percentile} was not measured"
    if value <= limit.seconds:
        return None
    return (
        f"{NAMES[limit.metric]} {limit.percentile} is {duration(value)}, "
        f"above {duration(limit.seconds)}"
    )


def _positive(match: re.Match[str]) -> float | None:
    try:
        value = float(match[3]) / (1000 if match[4] == "ms" else 1)
    except ValueError:
        return None
    return value if value > 0 else None
