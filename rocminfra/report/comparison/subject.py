"""One side of a comparison: a host's valid figures, each with its noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from rocminfra.report.comparison import noise
from rocminfra.report.point_report import PointReport, RequestSample
from rocminfra.report.summary import HostReport

# What differs without being a difference.
_OWN = {"Host", "Began", "Took", "Asked at"}
# What must be the same for figures to be comparable.
_SAME = ("Model", "Requests", "Time of a point")


@dataclass(frozen=True)
class Metric:
    """A figure that is compared.

    + name: in JSON
    + unit: of its values
    + higher_is_better: else lower is
    + value: from a point
    + of_request: what of a request it is a statistic of
    + statistic: ``median``, ``p95`` or ``mean``
    + floor: least relative noise between two runs
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    value: Callable[[PointReport], float | None]
    of_request: Callable[[RequestSample], float | None]
    statistic: str
    floor: float = noise.FLOOR


def _figure(name: str) -> Callable[[PointReport], float | None]:
    return lambda point: None if point.figures is None else getattr(point.figures, name)


def _percentile(metric: str, name: str) -> Callable[[PointReport], float | None]:
    return lambda point: (
        None if point.figures is None else getattr(getattr(point.figures, metric), name)
    )


def _latency(request: RequestSample) -> float | None:
    return request.latency_s


def _times(metric: str, title: str) -> tuple[Metric, ...]:
    def of_request(request: RequestSample) -> float | None:
        found: float | None = getattr(request, metric)
        return found

    short = metric.removesuffix("_s")
    return tuple(
        Metric(
            f"{short}_{name}_s",
            f"{title} {name}",
            "s",
            False,
            _percentile(metric, name),
            of_request,
            name,
            noise.FLOOR_OF_TTFT if metric == "ttft_s" else noise.FLOOR,
        )
        for name in ("median", "p95")
    )


# With a fixed number of requests in flight, throughput is that number over the mean latency
# (Little's law): so the noise of the one is the noise of the other.
METRICS: tuple[Metric, ...] = (
    *(
        Metric(name, title, unit, True, _figure(name), _latency, "mean")
        for name, title, unit in (
            ("requests_per_s", "requests a second", "1/s"),
            ("tokens_per_s", "tokens a second", "1/s"),
            ("completed_tokens_per_s", "tokens a second, completed", "1/s"),
        )
    ),
    *_times("ttft_s", "TTFT"),
    *_times("itl_s", "ITL"),
    *_times("latency_s", "end to end"),
)
BY_NAME = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True)
class Value:
    """A figure and its relative noise.

    + noise: None where it is not known
    + repetitions: points whose spread the noise is; 1 where it comes from single requests
    """

    value: float
    noise: float | None = None
    repetitions: int = 1


@dataclass(frozen=True)
class Measured:
    """The figures at one load.

    + key: what the load is, without its rate: such as ``constant/02-sweep-constant-1``
    + rate_per_s: of loads that have one, which follows from the run's own throughput in a sweep
    """

    key: str
    label: str
    figures: dict[str, Value]
    rate_per_s: float | None = None


@dataclass(frozen=True)
class Subject:
    """One side.

    + name: the run
    + host: None for what was published
    + is_valid: whether its figures may be used at all
    + same: what must be equal on both sides
    + configuration: everything else that is known
    + invalid: loads without figures, with the reason
    """

    name: str
    host: str | None
    is_valid: bool
    verdict: str
    same: dict[str, str]
    configuration: dict[str, str]
    points: tuple[Measured, ...]
    invalid: dict[str, str] = field(default_factory=dict)


def subject(run: str, host: HostReport) -> Subject:
    """A host's part of a run as one side of a comparison."""
    given = {item.name: item.value for item in host.provenance}
    groups: dict[str, list[PointReport]] = {}
    for point in host.points:
        if point.is_valid:
            groups.setdefault(_key(point), []).append(point)
    return Subject(
        name=run,
        host=host.host,
        is_valid=host.is_valid,
        verdict=host.verdict,
        same={name: given[name] for name in _SAME if name in given},
        configuration={
            name: value for name, value in given.items() if name not in _OWN and name not in _SAME
        },
        points=tuple(_measured(key, points) for key, points in groups.items()),
        invalid={
            _key(point): point.reasons[0] if point.reasons else point.outcome
            for point in host.points
            if not point.is_valid and _key(point) not in groups
        },
    )


def _key(point: PointReport) -> str:
    """Equal for repetitions of a load; rates are told apart by their place in the scenario."""
    load = point.load
    if load.streams is not None:
        return f"{load.profile}@{load.streams}"
    if load.rate_per_s is not None or load.profile == "unknown":
        return f"{load.profile}/{point.name}"
    return load.profile


def _measured(key: str, points: Sequence[PointReport]) -> Measured:
    found: dict[str, Value] = {}
    for metric in METRICS:
        values = [value for point in points if (value := metric.value(point)) is not None]
        if len(values) != len(points) or not all(_is_enough(point, metric) for point in points):
            continue
        between = noise.of_repetitions(values)
        if between is None:
            # The noisiest one: too few repetitions say nothing about the noise between them.
            within = [known for point in points if (known := _noise(point, metric)) is not None]
            found[metric.name] = Value(fmean(values), max(within, default=None))
        else:
            found[metric.name] = Value(fmean(values), between, len(values))
    return Measured(key, points[0].load.label, found, points[0].load.rate_per_s)


def _noise(point: PointReport, metric: Metric) -> float | None:
    values = [
        value
        for request in point.requests
        if request.outcome == "completed" and (value := metric.of_request(request)) is not None
    ]
    found = noise.bootstrap(values, noise.STATISTICS[metric.statistic])
    figures = point.figures
    if figures is None:
        return found
    if found is not None and figures.completed > len(values):
        # The figure is over all requests, of which these are a sample.
        found *= math.sqrt(len(values) / figures.completed)
    if metric.higher_is_better:
        edges = noise.at_the_edges(figures.concurrency_mean, figures.completed)
        return max(edges, found or 0.0)
    return found


def _is_enough(point: PointReport, metric: Metric) -> bool:
    """Whether a point's figure is one of the run, and not of its few slowest requests."""
    if metric.statistic != "p95" or point.figures is None:
        return True
    return point.figures.completed >= noise.LEAST_BEYOND / 0.05
