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

from rocminfra.planning.prediction.virtual_run import Record, Trace

LOG_INTERVAL_S = 10.0
# The phase of the log's interval relative to the run is unknown, so all of these are tried.
_PHASES = 20


@dataclass(frozen=True)
class PointFigures:
    """Figures of one point; None if nothing was measured.

    + completed, incomplete: requests in the window
    + requests_per_second: completed requests per second
    + ttft_median_s, ttft_p95_s: of completed requests
    + itl_median_s, itl_p95_s: likewise, weighted by tokens
    + tokens_per_s_all: input and output tokens in the window, including unfinished requests
    + tokens_per_s_all_0_6: the same as counted by GuideLLM up to 0.6.1
    + tokens_per_s_completed: input and output tokens of completed requests over the window
    + kv_usage_min, kv_usage_max: extremes of the log's samples; expected value over all phases of
      its interval, because the phase is unknown
    + preemptions: preemptions in the whole point
    """

    completed: int
    incomplete: int
    requests_per_second: float
    ttft_median_s: float | None
    ttft_p95_s: float | None
    itl_median_s: float | None
    itl_p95_s: float | None
    tokens_per_s_all: float
    tokens_per_s_all_0_6: float
    tokens_per_s_completed: float
    kv_usage_min: float | None
    kv_usage_max: float | None
    preemptions: int


def figures(traces: Sequence[Trace], warmup_s: float) -> PointFigures:
    """Figures of a point, excluding its first ``warmup_s`` seconds.

    + traces: one per replica, all of the same length
    """
    seconds = min((trace.seconds for trace in traces), default=0.0)
    window = seconds - warmup_s
    if window <= 0:
        raise ValueError(f"a warm-up of {warmup_s} s leaves no time in a run of {seconds} s")
    records = [record for trace in traces for record in trace.records]
    done = [
        record
        for record in records
        if record.completed and record.last_token is not None and record.last_token >= warmup_s
    ]
    waits = [record.ttft_s for record in done if record.ttft_s is not None]
    gaps = [(record.itl_s, record.generated - 1) for record in done if record.itl_s is not None]
    extremes = [extreme for trace in traces if (extreme := _kv_extremes(trace)) is not None]
    return PointFigures(
        completed=len(done),
        incomplete=sum(not record.completed for record in records),
        requests_per_second=len(done) / window,
        ttft_median_s=weighted_quantile([(wait, 1) for wait in waits], 0.5),
        ttft_p95_s=weighted_quantile([(wait, 1) for wait in waits], 0.95),
        itl_median_s=weighted_quantile(gaps, 0.5),
        itl_p95_s=weighted_quantile(gaps, 0.95),
        tokens_per_s_all=sum(_tokens_after(record, warmup_s) for record in records) / window,
        tokens_per_s_all_0_6=_rate_from_first_token(records, seconds),
        tokens_per_s_completed=sum(record.prompt_tokens + record.generated for record in done)
        / window,
        kv_usage_min=min((low for low, _ in extremes), default=None),
        kv_usage_max=max((high for _, high in extremes), default=None),
        preemptions=sum(trace.preemptions for trace in traces),
    )


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
    tokens = 0.0
    if record.first_token >= start:
        tokens += record.prompt_tokens + 1
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
        while at <= trace.seconds:
            index = bisect.bisect_right(times, at) - 1
            if index >= 0 and trace.moments[index].running:
                samples.append(trace.moments[index].kv_usage)
            at += LOG_INTERVAL_S
        if samples:
            lows.append(min(samples))
            highs.append(max(samples))
    return (fmean(lows), fmean(highs)) if lows else None
