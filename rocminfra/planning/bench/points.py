"""The benchmark points of a scenario, and which of them can run next.

One point is one GuideLLM process. A sweep's later points depend on the results of its first two, so
a scenario is expanded in steps: run what :func:`next_points` returns, add the outcomes to
``finished``, and call it again.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

StageKind = Literal[
    "synchronous",
    "throughput",
    "concurrent",
    "constant",
    "poisson",
    "sweep",
    "bursts",
    "goodput",
    "knee",
]
Outcome = Literal["valid", "invalid", "failed"]

# GuideLLM's default for the throughput point and the rates of a sweep
# (schemas/benchmark/profiles/sweep.py in 0.8.1).
MAX_CONCURRENCY = 512
# Profiles that look for an answer: what they probe next depends on what they found.
SEARCHES = ("goodput", "knee")
# By how much of a rate its label may be off.
_ROUNDED = 0.01


@dataclass(frozen=True)
class Stage:
    """One load profile of a scenario.

    + kind: GuideLLM's profile; ``bursts`` is a replay of a trace that we make
    + streams: for ``concurrent``, requests kept in flight, one point each; for ``knee``, the first
      ones
    + rates: for ``constant`` and ``poisson``, requests per second; one point each
    + size: for ``sweep``, number of points, including synchronous and throughput
    + max_concurrency: most requests in flight for ``throughput``, rates and ``sweep``
    + native: whether one GuideLLM process runs the whole stage, as GuideLLM itself does
    + repeat: how often each point is measured
    + ramp_seconds: time in which the load grows to its full size
    + burst_requests, every_seconds: for ``bursts``, requests at once and time between bursts
    + options: GuideLLM's own keys of a search
    """

    kind: StageKind
    streams: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    size: int = 10
    max_concurrency: int = MAX_CONCURRENCY
    native: bool = False
    repeat: int = 1
    ramp_seconds: float = 0.0
    burst_requests: int = 0
    every_seconds: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_one_process(self) -> bool:
        """Whether one GuideLLM process runs all of it."""
        return self.native or self.kind in SEARCHES


@dataclass(frozen=True)
class Point:
    """One GuideLLM process, or one benchmark of a process that runs a whole stage.

    + name: unique in its scenario, valid as a folder name, independent of results
    + kind: GuideLLM's profile; ``sweep`` and searches only for a whole stage
    + streams: requests kept in flight, for ``concurrent``
    + rate: requests per second, for ``constant`` and ``poisson``
    + max_concurrency: most requests in flight, for the kinds that have a limit
    + ramp_seconds: time in which the load grows to its full size
    + burst_requests, every_seconds: for ``bursts``
    + number: which measurement of the same load this is, from 1
    + stage: number of the stage, from 1, that this process runs as a whole; None for a point
    """

    name: str
    kind: StageKind
    streams: int | None = None
    rate: float | None = None
    max_concurrency: int | None = None
    ramp_seconds: float = 0.0
    burst_requests: int | None = None
    every_seconds: float | None = None
    number: int = 1
    stage: int | None = None

    @property
    def label(self) -> str:
        """Its name on GuideLLM's console: ``concurrent@64``, ``constant@0.84``."""
        again = f" #{self.number}" if self.number > 1 else ""
        if self.streams is not None:
            return f"{self.kind}@{self.streams}{again}"
        if self.rate is not None:
            return f"{self.kind}@{_shown_rate(self.rate)}{again}"
        if self.burst_requests is not None:
            return f"{self.kind}@{self.burst_requests}/{self.every_seconds:g}s{again}"
        return f"{self.kind}{again}"


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
    """Names of all points in the order in which they run, known before the first run.

    Of a search only the first points are known, or just the search itself.
    """
    names: list[str] = []
    for number, stage in enumerate(stages, start=1):
        for again in range(1, stage.repeat + 1):
            names.extend(_again(name, again) for name in _stage_names(number, stage))
    return tuple(names)


def next_points(stages: Sequence[Stage], finished: Mapping[str, Finished]) -> tuple[Point, ...]:
    """The points that can run now, in order; empty if there are none.

    + stages: the scenario's load profiles
    + finished: outcomes so far, by point name; of a stage that runs in one process, its own

    A sweep follows GuideLLM's own rule (benchmark/profiles/sweep.py in 0.8.1): synchronous, then
    throughput, then constant rates spaced evenly above the synchronous rate up to the throughput
    rate, which is the last one. Without valid synchronous and throughput points there are no rates,
    so the rest of that sweep never runs. Repeats come after all points of the stage, and those of
    a sweep have the same rates.
    """
    for number, stage in enumerate(stages, start=1):
        ready: Sequence[Point]
        if stage.in_one_process:
            ready = (Point(name=f"{number:02d}-{stage.kind}", kind=stage.kind, stage=number),)
        elif stage.kind == "sweep":
            ready = _sweep_points(number, stage, finished)
        else:
            ready = _plain_points(number, stage)
        left = tuple(
            point
            for again in range(1, stage.repeat + 1)
            for point in (_repeated(point, again) for point in ready)
            if point.name not in finished
        )
        if left:
            return left
    return ()


def parts(
    stages: Sequence[Stage], process: Point, strategies: Sequence[Mapping[str, Any]]
) -> tuple[Point, ...]:
    """The points that a process measured which ran a whole stage.

    + stages: the scenario's load profiles
    + process: the process; its ``stage`` is set
    + strategies: ``config.strategy`` of each of its benchmarks, in order, as in GuideLLM's report

    Points that :func:`planned_names` knows have the same names here.
    """
    assert process.stage is not None
    stage = stages[process.stage - 1]
    planned = _stage_names(process.stage, stage)
    found = []
    for index, strategy in enumerate(strategies):
        kind: Any = strategy.get("type_")
        if kind not in get_args(StageKind):
            kind = stage.kind
        streams = strategy.get("streams")
        rate = strategy.get("rate")
        if stage.kind in SEARCHES:
            name = _probe_name(process.stage, stage, index, streams)
        else:
            name = planned[index]
        found.append(
            Point(
                name=_again(name, process.number),
                kind=kind,
                streams=streams,
                rate=rate,
                max_concurrency=strategy.get("max_concurrency"),
                number=process.number,
            )
        )
    return tuple(found)


def never_run(stages: Sequence[Stage], finished: Mapping[str, Finished]) -> tuple[str, ...]:
    """Names of planned points without an outcome; at the end, those that could not run."""
    return tuple(name for name in planned_names(stages) if name not in finished)


def _stage_names(number: int, stage: Stage) -> tuple[str, ...]:
    if stage.kind == "sweep":
        return tuple(_sweep_name(number, index) for index in range(stage.size))
    if stage.kind == "knee":
        return tuple(
            _probe_name(number, stage, index, streams)
            for index, streams in enumerate(stage.streams)
        )
    if stage.kind == "goodput":
        return (_probe_name(number, stage, 0, stage.options.get("initial_streams", 4)),)
    return tuple(point.name for point in _plain_points(number, stage))


def _probe_name(number: int, stage: Stage, index: int, streams: int | None) -> str:
    return f"{number:02d}-{stage.kind}-{index + 1:02d}-concurrent-{streams}"


def _again(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-again-{number}"


def _repeated(point: Point, number: int) -> Point:
    return replace(point, name=_again(point.name, number), number=number)


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
    ramp = stage.ramp_seconds
    if stage.kind == "concurrent":
        return tuple(
            Point(
                name=f"{number:02d}-concurrent-{streams}",
                kind="concurrent",
                streams=streams,
                ramp_seconds=ramp,
            )
            for streams in stage.streams
        )
    if stage.kind in ("constant", "poisson"):
        return tuple(
            Point(
                name=f"{number:02d}-{stage.kind}-{_rate_in_name(rate)}",
                kind=stage.kind,
                rate=rate,
                max_concurrency=stage.max_concurrency,
                ramp_seconds=ramp,
            )
            for rate in stage.rates
        )
    if stage.kind == "bursts":
        return (
            Point(
                name=f"{number:02d}-bursts-{stage.burst_requests}",
                kind="bursts",
                burst_requests=stage.burst_requests,
                every_seconds=stage.every_seconds,
            ),
        )
    limit = stage.max_concurrency if stage.kind == "throughput" else None
    name = f"{number:02d}-{stage.kind}"
    return (Point(name=name, kind=stage.kind, max_concurrency=limit, ramp_seconds=ramp),)


def _shown_rate(rate: float) -> str:
    """With two decimals, as on GuideLLM's console, unless they would say something else."""
    short = f"{rate:.2f}"
    return short if abs(float(short) - rate) <= _ROUNDED * rate else f"{rate:.3g}"


def _rate_in_name(rate: float) -> str:
    """Short, but never the same for two rates: a point's name is its folder."""
    short = f"{rate:g}"
    return short if float(short) == rate else repr(rate)


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
