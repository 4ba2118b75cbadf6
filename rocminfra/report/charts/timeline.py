"""What engine and GPU did during one point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rocminfra.report.charts.library import altair
from rocminfra.report.charts.picture import (
    MOST_POINTS,
    Picture,
    Sheet,
    Table,
    drawn,
    rounded,
    text,
    without,
)
from rocminfra.report.charts.style import colour
from rocminfra.report.point_report import Moment, PointReport, TimeSeries

_MIB_IN_GIB = 1024
_STATES = ["running", "waiting"]
_Samples = Sequence[tuple[float, float]]


def timeline(point: PointReport, key: str) -> Picture:
    """KV cache, requests, preemptions, power and memory over the time of a point."""
    title = "What did engine and GPU do meanwhile?"
    series = point.timeline
    strips = _Strips(series)
    chart = strips.chart()
    if chart is None:
        return without(key, title, "No engine metrics and no GPU telemetry are on record.")
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
    if missing := _missing(series):
        notes.append(f"Not on record: {', '.join(missing)}.")
    return drawn(key, title, alt, strips.sheet.spec(chart), note=" ".join(notes), table=table)


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


class _Strips:
    """The charts of a time line, one below the other; only the lowest names their common axis."""

    def __init__(self, series: TimeSeries) -> None:
        self.sheet = Sheet()
        self._series = series
        moments = (*series.engine, *series.gpu)
        self._end = max((moment.at_s for moment in moments), default=1.0)

    def chart(self) -> Any:
        """All strips that have samples; None when none has."""
        series = self._series
        found = []
        if usage := _samples(series.engine, "kv_usage"):
            found.append(partial(self._share, usage))
        states = {state: _samples(series.engine, state) for state in _STATES}
        if any(states.values()):
            found.append(partial(self._requests, states))
        if preempted := _samples(series.engine, "preemptions"):
            found.append(partial(self._line, preempted, "preemptions", "green"))
        if power := _samples(series.gpu, "power_w"):
            found.append(partial(self._line, power, "power, W", "vermillion"))
        if memory := _samples(series.gpu, "vram_mib"):
            gib = [(at, value / _MIB_IN_GIB) for at, value in memory]
            found.append(partial(self._line, gib, "VRAM, GiB", "purple"))
        if not found:
            return None
        last = len(found) - 1
        return self.sheet.below(strip(number == last) for number, strip in enumerate(found))

    def _share(self, samples: _Samples, is_last: bool) -> Any:
        alt = altair()
        chart = (
            alt.Chart(self.sheet.data(_plain(samples)))
            .mark_area(
                fill=colour("blue"),
                fillOpacity=0.15,
                line={"color": colour("blue"), "strokeWidth": 1.5},
            )
            .encode(
                x=self._x(is_last),
                y=alt.Y(
                    "value:Q",
                    title="KV cache",
                    scale=alt.Scale(domain=[0, 1]),
                    axis=alt.Axis(format=".0%", tickCount=3),
                ),
            )
        )
        return self._with_window(chart, is_last)

    def _requests(self, states: Mapping[str, _Samples], is_last: bool) -> Any:
        alt = altair()
        rows = [
            {**row, "state": state} for state, samples in states.items() for row in _plain(samples)
        ]
        shades = [colour("green"), colour("vermillion")]
        chart = (
            alt.Chart(self.sheet.data(rows))
            .mark_line(strokeWidth=1.5)
            .encode(
                x=self._x(is_last),
                y=alt.Y("value:Q", title="requests", axis=alt.Axis(tickCount=3, tickMinStep=1)),
                color=alt.Color("state:N", scale=alt.Scale(domain=_STATES, range=shades)),
                strokeDash=alt.StrokeDash(
                    "state:N", scale=alt.Scale(domain=_STATES, range=[[1, 0], [4, 2]])
                ),
            )
        )
        return self._with_window(chart, is_last)

    def _line(self, samples: _Samples, title: str, shade: str, is_last: bool) -> Any:
        alt = altair()
        # Never a flat line at half height: zero of something is at the bottom.
        is_flat = not any(value > 0 for _, value in samples)
        scale = alt.Scale(domain=[0, 1]) if is_flat else alt.Scale(zero=True)
        chart = (
            alt.Chart(self.sheet.data(_plain(samples)))
            .mark_line(strokeWidth=1.5, color=colour(shade))
            .encode(
                x=self._x(is_last),
                y=alt.Y(
                    "value:Q",
                    title=title,
                    scale=scale,
                    axis=alt.Axis(tickCount=3, tickMinStep=1, format=",~f"),
                ),
            )
        )
        return self._with_window(chart, is_last)

    def _x(self, is_last: bool) -> Any:
        alt = altair()
        return alt.X(
            "s:Q",
            title="seconds since the point's start" if is_last else None,
            scale=alt.Scale(domain=[0, self._end], nice=False),
            axis=alt.Axis(labels=is_last, ticks=is_last),
        )

    def _with_window(self, chart: Any, is_last: bool) -> Any:
        alt = altair()
        start, end = self._series.window_start_s, self._series.window_end_s
        layers = [chart]
        if start is not None and end is not None:
            window = (
                alt.Chart(self.sheet.data([{"s": rounded(start), "end": rounded(end)}]))
                .mark_rect(color=colour("window"), opacity=0.07, description="measured window")
                .encode(x=self._x(is_last), x2=alt.X2("end:Q"))
            )
            layers.insert(0, window)
        return self.sheet.layers(*layers, height=72)


def _plain(samples: _Samples) -> list[dict[str, Any]]:
    return [{"s": rounded(at), "value": rounded(value)} for at, value in thinned(samples)]


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
