"""Pages of the engine's ``/metrics`` before and after a point: where requests spent their time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rocminfra.planning.bench.exposition import labels, samples
from rocminfra.report.point_report import Phase

# vLLM 0.20.1 (vllm/v1/metrics/loggers.py), in the order in which a request goes through them.
PHASES = {
    "queue": "vllm:request_queue_time_seconds",
    "prefill": "vllm:request_prefill_time_seconds",
    "decode": "vllm:request_decode_time_seconds",
}
_CACHE_QUERIES, _CACHE_HITS = "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total"


@dataclass
class Page:
    """A page: series summed over engines and other labels, histograms by upper bound."""

    sums: dict[str, float] = field(default_factory=dict)
    buckets: dict[str, dict[float, float]] = field(default_factory=dict)


def read_page(path: Path) -> Page | None:
    """A page of ``/metrics``; None when there is no such file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    page = Page()
    for name, written, value in samples(text):
        try:
            count = float(value)
        except ValueError:
            continue
        if not math.isfinite(count):
            continue
        if not name.endswith("_bucket"):
            page.sums[name] = page.sums.get(name, 0.0) + count
            continue
        bound = labels(written).get("le")
        if bound is not None:
            series = page.buckets.setdefault(name.removesuffix("_bucket"), {})
            upper = float("inf") if bound == "+Inf" else _float(bound)
            series[upper] = series.get(upper, 0.0) + count
    return page


def phases(before: Page | None, after: Page | None) -> tuple[Phase, ...]:
    """Where requests that ended between two pages spent their time; empty when nobody knows."""
    if before is None or after is None:
        return ()
    found = (_phase(name, series, before, after) for name, series in PHASES.items())
    return tuple(phase for phase in found if phase is not None)


def cache_hit_share(before: Page | None, after: Page | None) -> float | None:
    """Share of the prompt tokens between two pages that came from the prefix cache."""
    if before is None or after is None:
        return None
    queries = _risen(before, after, _CACHE_QUERIES)
    hits = _risen(before, after, _CACHE_HITS)
    return None if not queries or hits is None or hits < 0 else hits / queries


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """A quantile from cumulative counts, by Prometheus's linear rule (``histogram_quantile``).

    + buckets: counts of everything up to each bound; must have ``inf``
    + share: 0 to 1

    None without observations, and where it lies below the first bound or above the last finite
    one: there the buckets say nothing but that.
    """
    total = buckets.get(math.inf, 0.0)
    if total <= 0:
        return None
    rank = share * total
    lower, below = -math.inf, 0.0
    for upper in sorted(buckets):
        count = buckets[upper]
        if count >= rank and count > below:
            if math.isinf(upper) or math.isinf(lower):
                return None
            return lower + (upper - lower) * (rank - below) / (count - below)
        lower, below = upper, count
    return None


def _phase(name: str, series: str, before: Page, after: Page) -> Phase | None:
    requests = _risen(before, after, f"{series}_count")
    seconds = _risen(before, after, f"{series}_sum")
    if requests is None or seconds is None or requests <= 0 or seconds < 0:
        return None
    old = before.buckets.get(series, {})
    rise = {
        upper: count - old.get(upper, 0.0) for upper, count in after.buckets.get(series, {}).items()
    }
    return Phase(
        name=name,
        mean_s=seconds / requests,
        median_s=quantile(rise, 0.5),
        p95_s=quantile(rise, 0.95),
        requests=round(requests),
    )


def _risen(before: Page, after: Page, name: str) -> float | None:
    if name not in after.sums:
        return None
    return after.sums[name] - before.sums.get(name, 0.0)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.inf
