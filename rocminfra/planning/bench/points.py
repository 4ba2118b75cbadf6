"""The benchmark points of a scenario, and which of them can run next.

One point is one GuideLLM process. A sweep's later points depend on the results of its first two, so
a scenario is expanded in steps: run what :func:`next_points` returns, add the outcomes to
``finished``, and call it again.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

StageKind = Literal["synchronous", "throughput", "concurrent", "constant", "poisson", "sweep"]
Outcome = Literal["valid", "invalid", "failed"]

# GuideLLM's default for the throughput point and the rates of a sweep
# (schemas/benchmark/profiles/sweep.py in 0.8.1).
MAX_CONCURRENCY = 512


@dataclass(frozen=True)
class Stage:
    """One load profile of a scenario.

    + kind: GuideLLM's profile
    + streams: for ``concurrent``, requests kept in flight; one point each
    + rates: for ``constant`` and ``poisson``, requests per second; one point each
    + size: for ``sweep``, number of points, including synchronous and throughput
    + max_concurrency: most requests in flight for ``throughput``, rates and ``sweep``
    """

    kind: StageKind
    streams: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    size: int = 10
    max_concurrency: int = MAX_CONCURRENCY


@dataclass(frozen=True)
class Point:
    """One GuideLLM process.

    + name: unique in its scenario, valid as a folder name, independent of results
    + kind: GuideLLM's profile, never ``sweep``
    + streams: requests kept in flight, for ``concurrent``
    + rate: requests per second, for ``constant`` and ``poisson``
    + max_concurrency: most requests in flight, for the kinds that have a limit
    """

    name: str
    kind: StageKind
    streams: int | None = None
    rate: float | None = None
    max_concurrency: int | None = None

    @property
    def label(self) -> str:
        """Its name on GuideLLM's console: ``concurrent@64``, ``constant@0.84``."""
        if self.streams is not None:
            return f"{self.kind}@{self.streams}"
        if self.rate is not None:
            return f"{self.kind}@{self.rate:.2f}"
        return self.kind


@dataclass(frozen=True)
class Finished:
    """The outcome of a point.

    + name: name of the point
    + outcome: only a ``valid`` point has a measurement
    + requests_per_second: mean rate of successful requests, None when nothing was measured
    """

    name: str
    outcome: Outcome
    requests_per_second: float | None = None


def planned_names(stages: Sequence[Stage]) -> tuple[str, ...]:
    """Names of all points in the order in which they run, known before the first run."""
    names: list[str] = []
    for number, stage in enumerate(stages, start=1):
        if stage.kind == "sweep":
            names.extend(_sweep_name(number, index) for index in range(stage.size))
        else:
            names.extend(point.name for point in _plain_points(number, stage))
    return tuple(names)


def next_points(stages: Sequence[Stage], finished: Mapping[str, Finished]) -> tuple[Point, ...]:
    """The points that can run now, in order; empty if there are none.

    + stages: the scenario's load profiles
    + finished: outcomes so far, by point name

    A sweep follows GuideLLM's own rule (benchmark/profiles/sweep.py in 0.8.1): synchronous, then
    throughput, then constant rates spaced evenly above the synchronous rate up to the throughput
    rate, which is the last one. Without valid synchronous and throughput points there are no rates,
    so the rest of that sweep never runs.
    """
    for number, stage in enumerate(stages, start=1):
        if stage.kind == "sweep":
            ready = _sweep_points(number, stage, finished)
        else:
            ready = _plain_points(number, stage)
        left = tuple(point for point in ready if point.name not in finished)
        if left:
            return left
    return ()


def never_run(stages: Sequence[Stage], finished: Mapping[str, Finished]) -> tuple[str, ...]:
    """Names of planned points without an outcome; at the end, those that could not run."""
    return tuple(name for name in planned_names(stages) if name not in finished)


def sweep_rates(synchronous: float, throughput: float, size: int) -> tuple[float, ...]:
    """Rates of a sweep after its first two points, in requests per second.

    + synchronous: measured rate with one request at a time
    + throughput: measured rate with as many requests as the engine accepts
    + size: number of points in the sweep, including the first two

    ``numpy.linspace(synchronous, throughput, size - 1)[1:]``, as in GuideLLM, where rates that are
    not positive end the sweep, too.
    """
    steps = size - 2
    rates = [
        synchronous + (throughput - synchronous) * step / steps for step in range(1, steps + 1)
    ]
    positive: list[float] = []
    for rate in rates:
        if rate <= 0:
            break
        positive.append(rate)
    return tuple(positive)


def _plain_points(number: int, stage: Stage) -> tuple[Point, ...]:
    if stage.kind == "concurrent":
        return tuple(
            Point(name=f"{number:02d}-concurrent-{streams}", kind="concurrent", streams=streams)
            for streams in stage.streams
        )
    if stage.kind in ("constant", "poisson"):
        return tuple(
            Point(
                name=f"{number:02d}-{stage.kind}-{rate:g}",
                kind=stage.kind,
                rate=rate,
                max_concurrency=stage.max_concurrency,
            )
            for rate in stage.rates
        )
    limit = stage.max_concurrency if stage.kind == "throughput" else None
    return (Point(name=f"{number:02d}-{stage.kind}", kind=stage.kind, max_concurrency=limit),)


def _sweep_points(number: int, stage: Stage, finished: Mapping[str, Finished]) -> tuple[Point, ...]:
    synchronous = Point(name=_sweep_name(number, 0), kind="synchronous")
    throughput = Point(
        name=_sweep_name(number, 1), kind="throughput", max_concurrency=stage.max_concurrency
    )
    slow = _measured(finished.get(synchronous.name))
    fast = _measured(finished.get(throughput.name))
    if slow is None:
        return (synchronous,)
    if fast is None:
        return (synchronous, throughput)
    rates = sweep_rates(slow, fast, stage.size)
    return (
        synchronous,
        throughput,
        *(
            Point(
                name=_sweep_name(number, index),
                kind="constant",
                rate=rate,
                max_concurrency=stage.max_concurrency,
            )
            for index, rate in enumerate(rates, start=2)
        ),
    )


def _sweep_name(number: int, index: int) -> str:
    kind = ("synchronous", "throughput")[index] if index < 2 else f"constant-{index - 1}"
    return f"{number:02d}-sweep-{kind}"


def _measured(point: Finished | None) -> float | None:
    if point is None or point.outcome != "valid":
        return None
    return point.requests_per_second
