"""How the requests of one point are distributed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rocminfra.report.charts.library import altair
from rocminfra.report.charts.picture import (
    Picture,
    Sheet,
    Table,
    drawn,
    rounded,
    time_text,
    time_unit,
    without,
)
from rocminfra.report.charts.style import colour
from rocminfra.report.point_report import PointReport

_BINS = 16
_KINDS = (
    ("ttft_s", "TTFT", "time to first token"),
    ("itl_s", "ITL", "mean time between tokens of a request"),
    ("latency_s", "E2E", "end to end"),
)


def distribution(point: PointReport, key: str) -> Picture:
    """Histograms of the completed requests' latencies."""
    title = "Do all requests fare alike?"
    completed = [request for request in point.requests if request.outcome == "completed"]
    sheet, panels, rows = Sheet(), [], []
    for field, kind, meaning in _KINDS:
        values = [
            value
            for value in (getattr(request, field) for request in completed)
            if value is not None and math.isfinite(value)
        ]
        if values:
            panels.append(_panel(sheet, values, kind, meaning))
            rows.append(_row(kind, sorted(values)))
    if not panels:
        return without(key, title, _why_nothing(point))
    alt = f"{len(completed):,} completed requests of {point.load.label}: "
    alt += "; ".join(f"{row[0]} from {row[1]} to {row[-1]}, median {row[2]}" for row in rows) + "."
    headings = ("", "lowest", "median", "p95", "highest")
    table = Table("Requests of this point", headings, tuple(rows))
    note = None
    if point.requests_total > len(point.requests):
        note = f"{len(point.requests):,} requests were sampled of {point.requests_total:,}."
    return drawn(key, title, alt, sheet.spec(sheet.below(panels)), note=note, table=table)


def _why_nothing(point: PointReport) -> str:
    if point.outcome == "never run":
        return "This point never ran."
    if not point.requests:
        return "No requests of this point are on record."
    return "No request of this point was completed."


def bins(values: Sequence[float], most: int = _BINS) -> list[tuple[float, float, int]]:
    """A histogram: from, to and count, with steps of 1, 2 or 5 times a power of ten.

    It begins at zero unless all values are in the upper half of their range from zero.
    """
    low, high = min(values), max(values)
    start = 0.0 if low < high / 2 else low
    span = (high - start) or high or 1.0
    rough = span / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.floor(start / step)
    counts: dict[int, int] = {}
    for value in values:
        # A value on an edge belongs to the bin that it begins, whatever the division makes of it.
        number = math.floor(value / step + 1e-9)
        counts[number] = counts.get(number, 0) + 1
    last = max(counts)
    return [
        (number * step, (number + 1) * step, counts.get(number, 0))
        for number in range(first, last + 1)
    ]


def _panel(sheet: Sheet, values: list[float], kind: str, meaning: str) -> Any:
    alt = altair()
    factor, unit = time_unit(values)
    scaled = sorted(value * factor for value in values)
    found = bins(scaled)
    rows = [
        {"from": rounded(low), "to": rounded(high), "requests": count}
        for low, high, count in found
        if count
    ]
    start, end = found[0][0], found[-1][1]
    is_zero = start == 0
    suffix = "" if is_zero else f" (axis starts at {rounded(start):g})"
    x_scale = alt.Scale(domain=[start, end], zero=is_zero, nice=False)
    bars = (
        alt.Chart(sheet.data(rows))
        .mark_bar(color=colour("blue"), opacity=0.75, binSpacing=1)
        .encode(
            x=alt.X("from:Q", bin="binned", title=f"{kind}, {unit}{suffix}", scale=x_scale),
            x2=alt.X2("to:Q"),
            y=alt.Y("requests:Q", title="requests", axis=alt.Axis(tickCount=3, tickMinStep=1)),
            tooltip=[
                alt.Tooltip("requests:Q"),
                alt.Tooltip("from:Q", title=f"from, {unit}", format=",.4~g"),
                alt.Tooltip("to:Q", title=f"to, {unit}", format=",.4~g"),
            ],
        )
    )
    marks = [
        {"at": rounded(_quantile(scaled, share)), "name": name}
        for name, share in (("median", 0.5), ("p95", 0.95))
    ]
    rules = alt.Chart(sheet.data(marks)).encode(x=alt.X("at:Q", scale=x_scale))
    return sheet.layers(
        bars,
        rules.mark_rule(color=colour("vermillion"), strokeWidth=1.5).encode(
            strokeDash=alt.StrokeDash(
                "name:N",
                scale=alt.Scale(domain=["median", "p95"], range=[[1, 0], [5, 3]]),
                legend=alt.Legend(symbolType="stroke", symbolStrokeColor=colour("vermillion")),
            ),
            tooltip=[alt.Tooltip("name:N", title=kind), alt.Tooltip("at:Q", title=unit)],
        ),
        height=90,
        title=f"{kind}, {meaning}",
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Nearest rank (Hyndman and Fan 1996, definition 1): always a value that was measured."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _row(kind: str, ordered: Sequence[float]) -> tuple[str, ...]:
    found = (ordered[0], _quantile(ordered, 0.5), _quantile(ordered, 0.95), ordered[-1])
    return (kind, *(time_text(value) for value in found))
