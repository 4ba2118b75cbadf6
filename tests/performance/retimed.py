"""Predicted figures under other constants, without another run: its steps, timed anew.

Which steps an engine takes hardly depends on how long they take, so a run is recorded once, and
every figure moves with the steps in its window. Good enough to fit by; what is reported is then
predicted in full.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import fmean, median
from typing import Any

from rocminfra.planning.engine.core import EngineCore, RunningStep
from rocminfra.planning.engine.latency import LatencyModel
from rocminfra.planning.engine.latency_constants import LatencyConstants
from rocminfra.planning.prediction import predict
from rocminfra.planning.prediction.published_runs import FIGURES, PublishedRun

Sums = tuple[int, int, int, int]


class _Watched(EngineCore):
    """Keeps every step: tokens, context, pairs and sampled tokens, and when it ended."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.steps: list[Sums] = []
        self.ends: list[float] = []

    def begin(self) -> RunningStep | None:
        running = super().begin()
        if running is not None:
            chunks = running.step.chunks
            pairs = sum(
                one.tokens * one.context + one.tokens * (one.tokens + 1) // 2
                for one in chunks
                if one.tokens > 1
            )
            self.steps.append(
                (
                    running.step.tokens,
                    sum(one.context for one in chunks),
                    pairs,
                    sum(one.samples for one in chunks),
                )
            )
            self.ends.append(running.end)
        return running


@dataclass(frozen=True)
class Request:
    """A completed request: how many steps had ended when it was sent, when its first and its last
    token came, and its seconds and tokens."""

    sent: int
    first: int
    last: int
    wait: float
    latency: float
    tokens: int


@dataclass(frozen=True)
class Recorded:
    """A run in full: its figures, steps and requests, and the seconds of its steps."""

    run: PublishedRun
    figures: dict[str, float]
    duration: float
    steps: list[Sums]
    requests: list[Request]
    old: list[float]


def recorded(item: tuple[PublishedRun, LatencyConstants]) -> Recorded:
    """Predict a run, and keep what happened."""
    run, constants = item
    cores: list[_Watched] = []

    def watched(*arguments: Any) -> _Watched:
        cores.append(_Watched(*arguments))
        return cores[-1]

    own = predict.EngineCore
    predict.EngineCore = watched  # type: ignore[assignment,misc]
    try:
        variant = replace(run.variant, given_constants=constants)
        point = predict.predict_point(variant, run.point, run.workload, run.timing)
    finally:
        predict.EngineCore = own  # type: ignore[misc]
    core = cores[0]

    def ended(at: float | None) -> int:
        return bisect.bisect_right(core.ends, (at or 0.0) + 1e-9)

    requests = [
        Request(
            ended(one.sent),
            ended(one.first_token),
            ended(one.last_token),
            one.ttft_s or 0.0,
            one.latency_s or 0.0,
            one.generated,
        )
        for one in point.traces[0].records
        if one.completed
    ]
    figures = {name: FIGURES[name](point.figures) or 0.0 for name in run.figures}
    return Recorded(
        run,
        figures,
        point.figures.duration_s,
        core.steps,
        requests,
        _seconds(run, core.steps, constants),
    )


def _seconds(run: PublishedRun, steps: Sequence[Sums], constants: LatencyConstants) -> list[float]:
    variant = run.variant
    shape = variant.spec.shape(variant.serving.kv_dtype_bytes, variant.tensor_parallel)
    model = LatencyModel(
        shape, variant.gpu, constants, variant.tensor_parallel, variant.is_scheduled_ahead
    )
    return [model.time_of(*step).total for step in steps]


def retimed(one: Recorded, constants: LatencyConstants) -> dict[str, float]:
    """Its figures under other constants."""
    new = _seconds(one.run, one.steps, constants)
    moved = [0.0, *accumulate(two - first for two, first in zip(new, one.old, strict=True))]
    waits = [r.wait + moved[r.first] - moved[r.sent] for r in one.requests]
    latencies = [r.latency + moved[r.last] - moved[r.sent] for r in one.requests]
    between = [
        (latency - wait) / (r.tokens - 1)
        for r, wait, latency in zip(one.requests, waits, latencies, strict=True)
        if r.tokens > 1
    ]
    is_given_rate = one.run.point.rate is not None
    duration = one.duration + (0.0 if is_given_rate else moved[-1])
    sampled = [step[3] for step in one.steps]
    values = {
        "duration_s": duration,
        "ttft_mean_ms": fmean(waits) * 1000,
        "ttft_median_ms": median(waits) * 1000,
        "tpot_mean_ms": fmean(between) * 1000 if between else 0.0,
        "latency_mean_ms": fmean(latencies) * 1000,
        "latency_p99_ms": sorted(latencies)[int(len(latencies) * 0.99)] * 1000,
    }
    found: dict[str, float] = {}
    for name, value in one.figures.items():
        if name in values:
            found[name] = values[name]
        elif name == "itl_median_ms":
            found[name] = value * _median(new, sampled) / _median(one.old, sampled)
        else:
            found[name] = value * one.duration / duration
    return found


def _median(values: Sequence[float], weights: Sequence[int]) -> float:
    half, passed = sum(weights) / 2, 0
    for value, weight in sorted(zip(values, weights, strict=True)):
        passed += weight
        if passed >= half:
            return value
    return max(values)
