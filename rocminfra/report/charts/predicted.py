"""What was predicted beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rocminfra.report.charts.library import altair
from rocminfra.report.charts.picture import (
    WIDTH,
    Picture,
    Sheet,
    Table,
    by_load,
    drawn,
    labels,
    load_axis,
    rounded,
    sentences,
    text,
    time_text,
    time_unit,
    without,
)
from rocminfra.report.charts.style import colour
from rocminfra.report.point_report import PointReport
from rocminfra.report.summary import HostReport

_Pair = tuple[float | None, float | None]


def predicted(host: HostReport, key: str = "predicted") -> Picture:
    """Throughput, TTFT and ITL of each valid point, predicted and measured."""
    title = "Did the run measure what was predicted?"
    points = [
        point
        for point in by_load(host)
        if point.is_valid and point.predicted is not None and point.figures is not None
    ]
    if not points:
        return without(
            key, title, sentences(host.prediction_note) or "There is no prediction for this run."
        )
    names = labels(by_load(host))
    sheet = Sheet()
    panels = [
        _panel(sheet, points, names, "tokens/s", _tokens),
        _panel(sheet, points, names, "TTFT median", _ttft),
        _panel(sheet, points, names, "ITL median", _itl),
    ]
    rows = tuple(
        (
            names[point.name],
            *_cells(_tokens(point), lambda value: text(value, 0)),
            *_cells(_ttft(point), time_text),
            *_cells(_itl(point), time_text),
        )
        for point in points
    )
    headings = (
        "load",
        *("tokens/s, predicted", "measured", "off by"),
        *("TTFT, predicted", "measured", "off by"),
        *("ITL, predicted", "measured", "off by"),
    )
    drawable = [panel for panel in panels if panel is not None]
    table = Table("Predicted and measured", headings, rows)
    if not drawable:
        return without(key, title, "The prediction has no figure that was measured.", table)
    alt = f"Predicted and measured throughput and latency of {len(points)} valid points."
    chart = sheet.below(drawable)
    return drawn(
        key, title, alt, sheet.spec(chart), note=sentences(host.prediction_note), table=table
    )


def _tokens(point: PointReport) -> _Pair:
    found, figures = point.predicted, point.figures
    return (
        found.tokens_per_s if found else None,
        figures.tokens_per_s if figures else None,
    )


def _ttft(point: PointReport) -> _Pair:
    found, figures = point.predicted, point.figures
    return (
        found.ttft_median_s if found else None,
        figures.ttft_s.median if figures else None,
    )


def _itl(point: PointReport) -> _Pair:
    found, figures = point.predicted, point.figures
    return (
        found.itl_median_s if found else None,
        figures.itl_s.median if figures else None,
    )


def _cells(pair: _Pair, shown: Callable[[float | None], str]) -> tuple[str, str, str]:
    guess, measured = pair
    off = "–" if guess is None or not measured else f"{guess / measured - 1:+.0%}"
    return shown(guess), shown(measured), off


def _panel(
    sheet: Sheet,
    points: Sequence[PointReport],
    names: dict[str, str],
    title: str,
    read: Callable[[PointReport], _Pair],
) -> Any:
    alt = altair()
    pairs = [(names[point.name], read(point)) for point in points]
    factor, unit = 1.0, ""
    if read is not _tokens:
        factor, unit = time_unit(value for _, pair in pairs for value in pair)
    values = [
        {"point": name, "what": what, "value": rounded(value * factor)}
        for name, pair in pairs
        for what, value in zip(("predicted", "measured"), pair, strict=True)
        if value is not None
    ]
    if not values:
        return None
    domain = ["predicted", "measured"]
    return (
        alt.Chart(sheet.data(values), width=WIDTH, height=130)
        .mark_point(size=80, strokeWidth=2, opacity=1)
        .encode(
            x=alt.X(
                "point:N",
                sort=[names[point.name] for point in points],
                title=None,
                axis=load_axis(len(points), read is _itl),
                scale=alt.Scale(type="point", padding=0.3),
            ),
            y=alt.Y(
                "value:Q",
                title=f"{title}, {unit}" if unit else title,
                scale=alt.Scale(zero=True),
                axis=alt.Axis(tickCount=4),
            ),
            color=alt.Color(
                "what:N", scale=alt.Scale(domain=domain, range=[colour("purple"), colour("blue")])
            ),
            shape=alt.Shape("what:N", scale=alt.Scale(domain=domain, range=["diamond", "circle"])),
            tooltip=[
                alt.Tooltip("point:N", title="load"),
                alt.Tooltip("what:N"),
                alt.Tooltip("value:Q", title=unit or title, format=",.4~g"),
            ],
        )
    )
