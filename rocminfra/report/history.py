"""The typed contents of the page over all runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunLine:
    """One host's part of one run.

    + run: its id
    + made_at: ISO 8601 in UTC; None where unknown
    + is_valid: False for a run whose figures may not be used: they are None then
    + valid, total: points
    + saturation: label of the load with the most tokens a second
    + requests_per_s, tokens_per_s, usd_per_million_tokens: at saturation
    + ttft_median_s, itl_median_s: at the lowest load, where they are the system's own
    + link: of its report, relative to the index; None when it has none
    """

    run: str
    host: str
    scenario: str
    made_at: str | None
    verdict: str
    is_valid: bool
    valid: int
    total: int
    gpu: str | None = None
    engine: str | None = None
    saturation: str | None = None
    requests_per_s: float | None = None
    tokens_per_s: float | None = None
    usd_per_million_tokens: float | None = None
    ttft_median_s: float | None = None
    itl_median_s: float | None = None
    link: str | None = None


@dataclass(frozen=True)
class History:
    """All runs of a folder, oldest first.

    + folder: where they are
    + unreadable: folders that hold no results, with the reason
    """

    folder: str
    lines: tuple[RunLine, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
