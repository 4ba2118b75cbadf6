"""What engine and GPU did during one point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocminfra.report.charts.library import altair
from rocminfra.report.charts.picture import (
    MOST_POINTS,
    WIDTH,
    Picture,
    Table,
    drawn,
    rounded,
    text,
    without,
)
from rocminfra.report.charts.style import colour
from rocminfra.report.point_report import Moment, PointReport, TimeSeries

_MIB_IN_GIB = 1024


def timeline(point: PointReport, key: str) -> Picture:
    """KV cache, requests, preemptions, power and memory over the time of a point."""
    title = "What did engine and GPU do meanwhile?"
    series = point.timeline
    panels = [
        panel
        for panel in (
            _share(series),
            _requests(series),
            _single(series, series.engine, "preemptions", "preemptions", "green"),
            _single(series, series.gpu, "power_w", "power, W", "vermillion"),
            _single(series, series.gpu, "vram_mib", "VRAM, GiB", "purple", 1 / _MIB_IN_GIB),
        )
        if panel is not None
    ]
    missing = _missing(series)
    if not panels:
        return without(key, title, "No engine metrics and no GPU telemetry are on record.")
    # Only the lowest panel names the axis that all share.
    chart = altair().vconcat(
        *(panel(is_last=number == len(panels) - 1) for number, panel in enumerate(panels))
    )
    alt = f"Time line of {point.load.label}: " + " ".join(
        f"{row[0]} from {row[1]} to {row[2]}." for row in _rows(series)
    )
    table = Table("Lowest and highest values", ("", "lowest", "highest"), tuple(_rows(series)))
    notes = []
    if series.window_start_s is not None and series.window_end_s is not None:
        notes.append(
            f"Shaded: the measured window, {series.window_start_s:,.0f} to "
            f"{series.window_end_s:,.0f} s."
        )
    else:
        notes.append("The measured window is not on record, so none is shaded.")
    if missing:
        notes.append(f"Not on record: {', '.join(missing)}.")
    return drawn(key, title, alt, chart, note=" ".join(notes), table=table)


def thinned(
    samples: Sequence[tuple[float, float]], most: int = MOST_POINTS
) -> list[tuple[float, float]]:
    """At most about ``most`` samples, with the extremes of each stretch: no peak is lost."""
    if len(samples) <= most:
        return list(samples)
    stretch = -(-len(samples) // (most // 2))
    found: list[tuple[float, float]] = []
    for start in range(0, len(samples), stretch):
        part = samples[start : start + stretch]
        extremes = {
            min(range(len(part)), key=lambda index: part[index][1]),
            max(range(len(part)), key=lambda index: part[index][1]),
        }
        found.extend(part[index] for index in sorted(extremes))
    return found


def _samples(moments: Sequence[Moment], field: str) -> list[tuple[float, float]]:
    return [
        (moment.at_s, value) for moment in moments if (value := getattr(moment, field)) is not None
    ]


def _share(series: TimeSeries) -> Any:
    samples = _samples(series.engine, "kv_usage")
    if not samples:
        return None

    def panel(is_last: bool) -> Any:
        alt = altair()
        rows = [{"s": rounded(at), "value": rounded(value)} for at, value in thinned(samples)]
        area = (
            alt.Chart(alt.Data(values=rows))
            .mark_area(
                fill=colour("blue"),
                fillOpacity=0.15,
                line={"color": colour("blue"), "strokeWidth": 1.5},
            )
            .encode(
                x=_x(series, is_last),
                y=alt.Y(
                    "value:Q",
                    title="KV cache",
                    scale=alt.Scale(domain=[0, 1]),
                    axis=alt.Axis(format=".0%", tickCount=3),
                ),
            )
        )
        return _with_window(series, area, is_last)

    return panel


def _requests(series: TimeSeries) -> Any:
    states = {state: _samples(series.engine, state) for state in ("running", "waiting")}
    if not any(states.values()):
        return None

    def panel(is_last: bool) -> Any:
        alt = altair()
        rows = [
            {"s": rounded(at), "value": rounded(value), "state": state}
            for state, samples in states.items()
            for at, value in thinned(samples)
        ]
        domain = ["running", "waiting"]
        lines = (
            alt.Chart(alt.Data(values=rows))
            .mark_line(strokeWidth=1.5)
            .encode(
                x=_x(series, is_last),
                y=alt.Y(
                    "value:Q",
                    title="requests",
                    scale=alt.Scale(zero=True),
                    axis=alt.Axis(tickCount=3),
                ),
                color=alt.Color(
                    "state:N",
                    scale=alt.Scale(domain=domain, range=[colour("green"), colour("vermillion")]),
                ),
                strokeDash=alt.StrokeDash(
                    "state:N", scale=alt.Scale(domain=domain, range=[[1, 0], [4, 2]])
                ),
            )
        )
        return _with_window(series, lines, is_last)

    return panel


def _single(
    series: TimeSeries,
    moments: Sequence[Moment],
    field: str,
    title: str,
    shade: str,
    factor: float = 1.0,
) -> Any:
    samples = _samples(moments, field)
    if not samples:
        return None

    def panel(is_last: bool) -> Any:
        alt = altair()
        rows = [
            {"s": rounded(at), "value": rounded(value * factor)} for at, value in thinned(samples)
        ]
        line = (
            alt.Chart(alt.Data(values=rows))
            .mark_line(strokeWidth=1.5, color=colour(shade))
            .encode(
                x=_x(series, is_last),
                y=alt.Y(
                    "value:Q",
                    title=title,
                    # Never a flat line at half height: zero of something is at the bottom.
                    scale=alt.Scale(zero=True) if _any(samples) else alt.Scale(domain=[0, 1]),
                    axis=alt.Axis(tickCount=3, format=",~f"),
                ),
            )
        )
        return _with_window(series, line, is_last)

    return panel


def _any(samples: Sequence[tuple[float, float]]) -> bool:
    return any(value > 0 for _, value in samples)


def _end(series: TimeSeries) -> float:
    moments = (*series.engine, *series.gpu)
    return max((moment.at_s for moment in moments), default=1.0)


def _x(series: TimeSeries, is_last: bool) -> Any:
    alt = altair()
    shown = is_last
    return alt.X(
        "s:Q",
        title="seconds since the point's start" if shown else None,
        scale=alt.Scale(domain=[0, _end(series)], nice=False),
        axis=alt.Axis(labels=shown, ticks=shown),
    )


def _with_window(series: TimeSeries, chart: Any, is_last: bool) -> Any:
    alt = altair()
    layers = [chart]
    if series.window_start_s is not None and series.window_end_s is not None:
        window = [{"s": rounded(series.window_start_s), "end": rounded(series.window_end_s)}]
        layers.insert(
            0,
            alt.Chart(alt.Data(values=window))
            .mark_rect(color=colour("window"), opacity=0.07, description="measured window")
            .encode(x=_x(series, is_last), x2="end:Q"),
        )
    return alt.layer(*layers).properties(width=WIDTH, height=72)


def _rows(series: TimeSeries) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, moments, field, factor, digits, unit in (
        ("KV cache", series.engine, "kv_usage", 100.0, 1, " %"),
        ("running", series.engine, "running", 1.0, 0, ""),
        ("waiting", series.engine, "waiting", 1.0, 0, ""),
        ("preemptions", series.engine, "preemptions", 1.0, 0, ""),
        ("power", series.gpu, "power_w", 1.0, 0, " W"),
        ("VRAM", series.gpu, "vram_mib", 1 / _MIB_IN_GIB, 1, " GiB"),
    ):
        values = [value * factor for _, value in _samples(moments, field)]
        if values:
            low, high = text(min(values), digits), text(max(values), digits)
            found.append((name, low + unit, high + unit))
    return found


def _missing(series: TimeSeries) -> list[str]:
    found = {row[0] for row in _rows(series)}
    names = ("KV cache", "running", "waiting", "preemptions", "power", "VRAM")
    return [name for name in names if name not in found]
