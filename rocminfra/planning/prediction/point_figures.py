"""The figures that GuideLLM and the engine's log would report for a virtual run.

GuideLLM counts within a window from the end of warm-up to the end. A completed request is counted
if it ends inside the window, a token if it arrives inside; the prompt's tokens arrive with the
first one. Latencies are those of completed requests, and the time between tokens is weighted by
tokens. The engine's log shows the KV cache every ten seconds. Standard library only.

Source: ``benchmark/schemas/metrics.py`` of GuideLLM 0.8.1. Up to 0.6.1 (``benchmark/schemas/
generative/metrics.py``), which the reference run used, the token rate is computed differently: all
tokens of all requests over the time from the first token to the end.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from rocminfra.planning.prediction.virtual_run import GAP_S, Record, Trace

LOG_INTERVAL_S = 10.0
# The phase of the log's interval relative to the run is unknown, so all of these are tried.
_PHASES = 20


@dataclass(frozen=True)
class Spread:
    """How a latency is spread, seconds."""

    mean: float
    median: float
    p95: float
    p99: float


@dataclass(frozen=True)
class PointFigures:
    """Figures of one point; None if nothing was measured.

    + duration_s: from the end of the warm-up to the end of the point

    + completed, incomplete: requests, in the window
    + requests_per_second: completed ones
    + ttft, latency: of completed requests
    + itl: mean time between a request's tokens, of completed requests, weighted by tokens, as
      GuideLLM has it
    + tpot: the same, every request alike, as ``vllm bench serve`` has it
    + gap: of all single gaps between tokens, which ``vllm bench serve`` calls ITL
    + tokens_per_s_all: tokens in and out that came in the window, of unfinished requests too
    + tokens_per_s_all_0_6: the same as GuideLLM up to 0.6.1 counts it
    + tokens_per_s_completed: tokens in and out of completed requests over the window
    + kv_usage_min, kv_usage_max: of the log's samples; expected value over all phases of its
      interval, because when it falls is not known
    + preemptions: of the whole point
    """

    completed: int
    incomplete: int
    requests_per_second: float
    duration_s: float
    ttft: Spread | None
    itl: Spread | None
    tpot: Spread | None
    gap: Spread | None
    latency: Spread | None
    output_tokens_per_s_all: float
    output_tokens_per_s_completed: float
    tokens_per_s_all: float
    tokens_per_s_all_0_6: float
    tokens_per_s_completed: float
    kv_usage_min: float | None
    kv_usage_max: float | None
    preemptions: int

    @property
    def ttft_median_s(self) -> float | None:
        """Median time to the first token."""
        return None if self.ttft is None else self.ttft.median

    @property
    def ttft_p95_s(self) -> float | None:
        """95th percentile of it."""
        return None if self.ttft is None else self.ttft.p95

    @property
    def itl_median_s(self) -> float | None:
        """Median time between tokens."""
        return None if self.itl is None else self.itl.median

    @property
    def itl_p95_s(self) -> float | None:
        """95th percentile of it."""
        return None if self.itl is None else self.itl.p95


def figures(traces: Sequence[Trace], warmup_s: float) -> PointFigures:
    """Figures of a point, excluding its first ``warmup_s`` seconds.

    + traces: one per replica, all of the same length
    """
    seconds = max((trace.length_s for trace in traces), default=0.0)
    window = seconds - warmup_s
    if window <= 0:
        raise ValueError(f"a warm-up of {warmup_s:g} s leaves nothing of {seconds:.1f} s")
    records = [record for trace in traces for record in trace.records]
    done = [
        record
        for record in records
        if record.completed and record.last_token is not None and record.last_token >= warmup_s
    ]
    waits = [record.ttft_s for record in done if record.ttft_s is not None]
    between = [(record.itl_s, record.generated - 1) for record in done if record.itl_s is not None]
    gaps: dict[int, int] = {}
    for trace in traces:
        for gap, count in trace.gaps.items():
            gaps[gap] = gaps.get(gap, 0) + count
    latencies = [record.latency_s for record in done if record.latency_s is not None]
    generated = sum(record.generated for record in done)
    extremes = [extreme for trace in traces if (extreme := _kv_extremes(trace)) is not None]
    return PointFigures(
        completed=len(done),
        incomplete=sum(not record.completed for record in records),
        requests_per_second=len(done) / window,
        duration_s=window,
        ttft=spread([(wait, 1) for wait in waits]),
        itl=spread(between),
        tpot=spread([(value, 1) for value, _ in between]),
        gap=spread([(gap * GAP_S, count) for gap, count in gaps.items()]),
        latency=spread([(value, 1) for value in latencies]),
        output_tokens_per_s_all=sum(_output_after(record, warmup_s) for record in records) / window,
        output_tokens_per_s_completed=generated / window,
        tokens_per_s_all=sum(_tokens_after(record, warmup_s) for record in records) / window,
        tokens_per_s_all_0_6=_rate_from_first_token(records, seconds),
        tokens_per_s_completed=sum(record.prompt_tokens + record.generated for record in done)
        / window,
        kv_usage_min=min((low for low, _ in extremes), default=None),
        kv_usage_max=max((high for _, high in extremes), default=None),
        preemptions=sum(trace.preemptions for trace in traces),
    )


def spread(values: Sequence[tuple[float, int]]) -> Spread | None:
    """Mean and percentiles of weighted values; None of nothing."""
    total = sum(weight for _, weight in values)
    if total <= 0:
        return None
    quantiles: list[float] = []
    wanted = [0.5, 0.95, 0.99]
    passed = 0
    for value, weight in sorted(values):
        passed += weight
        while wanted and passed >= wanted[0] * total:
            quantiles.append(value)
            wanted.pop(0)
    median, p95, p99 = quantiles
    return Spread(sum(value * weight for value, weight in values) / total, median, p95, p99)


def weighted_quantile(values: Sequence[tuple[float, int]], share: float) -> float | None:
    """Smallest value that at least ``share`` of the weight does not exceed; None if empty."""
    total = sum(weight for _, weight in values)
    if total <= 0:
        return None
    passed = 0
    ordered = sorted(values)
    for value, weight in ordered:
        passed += weight
        if passed >= share * total:
            return value
    return ordered[-1][0]


def _tokens_after(record: Record, start: float) -> float:
    """Tokens at or after ``start``. Those between first and last are spaced evenly, as in
    GuideLLM."""
    if record.first_token is None or record.last_token is None:
        return 0.0
    tokens = _output_after(record, start)
    if record.first_token >= start:
        tokens += record.prompt_tokens
    return tokens


def _output_after(record: Record, start: float) -> float:
    """Generated tokens that came at or after ``start``."""
    if record.first_token is None or record.last_token is None:
        return 0.0
    tokens = 1.0 if record.first_token >= start else 0.0
    following = record.generated - 1
    if following > 0:
        span = record.last_token - record.first_token
        early = 0.0 if span <= 0 else min(1.0, max(0.0, (start - record.first_token) / span))
        tokens += following * (1.0 - early)
    return tokens


def _rate_from_first_token(records: Sequence[Record], seconds: float) -> float:
    firsts = [record.first_token for record in records if record.first_token is not None]
    if not firsts:
        return 0.0
    tokens = sum(_tokens_after(record, 0.0) for record in records)
    span = seconds - min(firsts)
    return tokens / span if span > 0 else 0.0


def _kv_extremes(trace: Trace) -> tuple[float, float] | None:
    """Mean of the smallest and of the largest sample over all phases; an idle engine logs none."""
    lows: list[float] = []
    highs: list[float] = []
    times = [moment.at for moment in trace.moments]
    for phase in range(_PHASES):
        at = (phase + 0.5) * LOG_INTERVAL_S / _PHASES
        samples: list[float] = []
        while at <= trace.length_s:
            index = bisect.bisect_right(times, at) - 1
            if index >= 0 and trace.moments[index].running:
                samples.append(trace.moments[index].kv_usage)
            at += LOG_INTERVAL_S
        if samples:
            lows.append(min(samples))
            highs.append(max(samples))
    return (fmean(lows), fmean(highs)) if lows else None
