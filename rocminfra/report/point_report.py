"""What a report says about one point of a run.

Every figure is None where nothing was measured; nothing is filled in. Units are in the names;
latencies are in seconds, whatever GuideLLM's are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

PointOutcome = Literal["valid", "invalid", "failed", "never run"]
EnergySource = Literal["energy counter", "power samples"]


@dataclass(frozen=True)
class Percentiles:
    """A distribution over the completed requests of a point."""

    median: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True)
class Load:
    """What a point asked of the engine.

    + label: GuideLLM's, such as ``concurrent@64`` or ``constant@0.84``
    + profile: ``synchronous``, ``throughput``, ``concurrent``, ``constant`` or ``poisson``
    + streams: requests kept in flight, for ``concurrent``
    + rate_per_s: requests a second, for ``constant`` and ``poisson``
    """

    label: str
    profile: str
    streams: int | None = None
    rate_per_s: float | None = None
    max_concurrency: int | None = None


@dataclass(frozen=True)
class AttemptSummary:
    """One try at a point.

    + verdict: how it ended
    + why: what went wrong, None for nothing
    """

    number: int
    verdict: str
    why: str | None
    seconds: float


@dataclass(frozen=True)
class Cost:
    """What a point costs at the host's price; only of a valid point.

    + usd_per_million_tokens: all tokens in and out, those of unfinished requests included, as
      GuideLLM's console counts them
    + usd_per_million_output_tokens: tokens out of completed requests
    + usd_per_million_completed_tokens: tokens in and out of completed requests
    + requests_per_usd: completed requests
    """

    usd_per_million_tokens: float | None
    usd_per_million_output_tokens: float | None
    usd_per_million_completed_tokens: float | None
    requests_per_usd: float | None


@dataclass(frozen=True)
class Energy:
    """Energy of the engine's GPUs in the measured window.

    + joules_per_token: over the tokens of all requests
    + source: the GPU's own counter, or its power at each sample
    """

    joules: float
    joules_per_token: float | None
    source: EnergySource


@dataclass(frozen=True)
class Figures:
    """Figures of a point's measured window.

    + completed, errored, incomplete: requests
    + duration_s: the measured window
    + requests_per_s: completed requests
    + tokens_per_s: tokens in and out of all requests, unfinished ones included
    + completed_tokens_per_s: tokens in and out of completed requests
    + output_tokens_per_s: tokens out of completed requests
    + ttft_s, itl_s, latency_s: to the first token, between tokens, end to end
    + kv_usage_max: highest share of the KV cache, 0 to 1
    + preemptions: in the whole point
    """

    completed: int
    errored: int
    incomplete: int
    duration_s: float | None
    requests_per_s: float | None
    tokens_per_s: float | None
    completed_tokens_per_s: float | None
    output_tokens_per_s: float | None
    ttft_s: Percentiles
    itl_s: Percentiles
    latency_s: Percentiles
    prompt_tokens_median: float | None = None
    output_tokens_median: float | None = None
    image_pixels_mean: float | None = None
    concurrency_mean: float | None = None
    kv_usage_max: float | None = None
    running_max: float | None = None
    waiting_max: float | None = None
    preemptions: float | None = None
    power_mean_w: float | None = None
    vram_max_mib: float | None = None


@dataclass(frozen=True)
class Moment:
    """One sample beside a point, of engine or GPU; what was not sampled then is None.

    + at_s: since the point's start
    + kv_usage: share of the KV cache, 0 to 1
    + running, waiting: requests
    + preemptions: so far in this point
    + power_w, vram_mib: summed over the engine's GPUs
    """

    at_s: float
    kv_usage: float | None = None
    running: float | None = None
    waiting: float | None = None
    preemptions: float | None = None
    power_w: float | None = None
    vram_mib: float | None = None


@dataclass(frozen=True)
class TimeSeries:
    """A point's time line.

    + engine, gpu: samples by time; each of the two has its own period
    + window_start_s, window_end_s: the measured window, None where it is not known
    """

    engine: tuple[Moment, ...] = ()
    gpu: tuple[Moment, ...] = ()
    window_start_s: float | None = None
    window_end_s: float | None = None


@dataclass(frozen=True)
class RequestSample:
    """One request.

    + start_s: since the point's start
    + outcome: ``completed``, ``errored`` or ``incomplete``
    """

    start_s: float | None
    ttft_s: float | None
    itl_s: float | None
    latency_s: float | None
    prompt_tokens: int | None
    output_tokens: int | None
    outcome: str = "completed"


@dataclass(frozen=True)
class Phase:
    """A part of a request's time, from the engine's own histogram over the point.

    + name: ``queue``, ``prefill`` or ``decode``
    + mean_s: sum divided by count
    + median_s, p95_s: interpolated in the histogram's buckets; None below the first bound (0.3 s in
      vLLM) and above the last
    + requests: how many it counted
    """

    name: str
    mean_s: float
    median_s: float | None
    p95_s: float | None
    requests: int


@dataclass(frozen=True)
class Predicted:
    """What ``predict`` says about a point."""

    requests_per_s: float | None
    tokens_per_s: float | None
    ttft_median_s: float | None
    itl_median_s: float | None
    latency_median_s: float | None = None


@dataclass(frozen=True)
class SloOutcome:
    """A point against the reader's objectives.

    + met: whether every percentile that was asked for is within its limit; None for a point that
      is not valid
    + goodput_per_s: requests a second that met all limits themselves; None without samples
    + attained: share of the sampled requests that did, 0 to 1
    + misses: a sentence each
    """

    met: bool | None
    goodput_per_s: float | None
    attained: float | None
    misses: tuple[str, ...] = ()


@dataclass(frozen=True)
class PointReport:
    """One point.

    + name: its folder
    + outcome: only a ``valid`` point is a measurement
    + reasons: why it is not valid
    + warnings: what to know before its figures are believed
    + figures: also those of an invalid point, which are shown and never used; None without any
    + cost, energy: None unless the point is valid
    + sampled: requests in ``requests``; ``requests_total`` is how many there were
    + timeline, requests, phases: for pictures; not in ``summary.json``
    """

    name: str
    load: Load
    outcome: PointOutcome
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    attempts: tuple[AttemptSummary, ...] = ()
    figures: Figures | None = None
    cost: Cost | None = None
    energy: Energy | None = None
    slo: SloOutcome | None = None
    predicted: Predicted | None = None
    started: float | None = None
    sampled: int = 0
    requests_total: int = 0
    phases: tuple[Phase, ...] = ()
    timeline: TimeSeries = field(default_factory=TimeSeries)
    requests: tuple[RequestSample, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether it is a measurement."""
        return self.outcome == "valid"
