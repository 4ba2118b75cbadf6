"""Latency: against throughput, and by load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rocminfra.report.charts.library import altair
from rocminfra.report.charts.picture import (
    Picture,
    Sheet,
    Table,
    by_load,
    drawn,
    labels,
    load_axis,
    not_valid_note,
    rate_text,
    rounded,
    sentences,
    text,
    time_text,
    time_unit,
    without,
)
from rocminfra.report.charts.style import colour
from rocminfra.report.point_report import Figures, Percentiles, PointReport
from rocminfra.report.summary import HostReport

_QUANTILES = ("median", "p95", "p99")
_COLOURS = ("blue", "green", "vermillion")
_SHAPES = ("circle", "square", "triangle-up")
_DASHES = ([1, 0], [6, 3], [2, 2])
_KINDS: tuple[tuple[str, str, Callable[[Figures], Percentiles]], ...] = (
    ("TTFT", "time to first token", lambda figures: figures.ttft_s),
    ("ITL", "time between tokens", lambda figures: figures.itl_s),
    ("E2E", "end to end", lambda figures: figures.latency_s),
)


def throughput_against_latency(host: HostReport, key: str = "throughput") -> Picture:
    """Each point's throughput and latency, the knee and the saturation marked."""
    title = "How much latency does more throughput cost?"
    points = by_load(host)
    names = labels(points)
    rows = []
    for order, point in enumerate(points):
        figures = point.figures
        if figures is None or figures.tokens_per_s is None:
            continue
        for quantile in ("median", "p95"):
            latency = getattr(figures.latency_s, quantile)
            if latency is not None:
                rows.append((order, point, quantile, figures.tokens_per_s, latency))
    table = _throughput_table(points, names)
    if not rows:
        return without(key, title, "No point has both a throughput and a latency.", table)
    factor, unit = time_unit(row[4] for row in rows)
    values = [
        {
            "point": names[point.name],
            "order": order,
            "tokens": rounded(tokens),
            "latency": rounded(latency * factor),
            "series": quantile if point.is_valid else "not valid",
            "what": quantile,
        }
        for order, point, quantile, tokens, latency in rows
    ]
    marked = _marked(host, names)
    sheet = Sheet()
    chart = _plane(sheet, values, marked, unit)
    alt = f"{len({row[1].name for row in rows})} points, from {names[rows[0][1].name]} to "
    alt += f"{names[rows[-1][1].name]}; end-to-end latency over tokens a second."
    alt += "".join(f" {what} at {point}." for point, what in marked.items())
    note = sentences(host.knee.why if host.knee else None, not_valid_note(points))
    return drawn(key, title, alt, sheet.spec(chart), note=note, table=table)


def _marked(host: HostReport, names: dict[str, str]) -> dict[str, str]:
    """What to write beside which point."""
    found: dict[str, str] = {}
    if not host.is_valid:
        return found
    if host.knee and host.knee.point in names:
        found[names[host.knee.point]] = "knee"
    if host.saturation in names:
        name = names[str(host.saturation)]
        found[name] = "knee and saturation" if name in found else "saturation"
    return found


def _plane(sheet: Sheet, values: list[dict[str, Any]], marked: dict[str, str], unit: str) -> Any:
    alt = altair()
    series = [
        ("median", "blue", "circle", [1, 0]),
        ("p95", "vermillion", "triangle-up", [6, 3]),
        ("not valid", "grey", "cross", [1, 0]),
    ]
    present = [row for row in series if any(value["series"] == row[0] for value in values)]
    domain = [row[0] for row in present]
    x = alt.X("tokens:Q", title="tokens a second, in and out", axis=alt.Axis(tickCount=8))
    y = alt.Y("latency:Q", title=f"end-to-end latency, {unit}", scale=alt.Scale(zero=True))
    shades = alt.Color(
        "series:N", scale=alt.Scale(domain=domain, range=[colour(row[1]) for row in present])
    )
    valid = [value for value in values if value["series"] != "not valid"]
    lines = (
        alt.Chart(sheet.data(valid))
        .mark_line(strokeWidth=1.5, opacity=0.7)
        .encode(
            x=x,
            y=y,
            color=shades,
            order=alt.Order("order:Q"),
            strokeDash=alt.StrokeDash(
                "series:N",
                scale=alt.Scale(domain=domain, range=[row[3] for row in present]),
            ),
        )
    )
    dots = (
        alt.Chart(sheet.data(values))
        .mark_point(filled=True, size=70, opacity=1)
        .encode(
            x=x,
            y=y,
            color=shades,
            shape=alt.Shape(
                "series:N", scale=alt.Scale(domain=domain, range=[row[2] for row in present])
            ),
            tooltip=[
                alt.Tooltip("point:N", title="load"),
                alt.Tooltip("what:N", title="latency"),
                alt.Tooltip("latency:Q", title=unit, format=",.4~g"),
                alt.Tooltip("tokens:Q", title="tokens/s", format=",.0f"),
            ],
        )
    )
    rings = [
        {**value, "text": marked[value["point"]]}
        for value in values
        if value["series"] == "median" and value["point"] in marked
    ]
    layers = [lines, dots] if valid else [dots]
    if rings:
        ringed = alt.Chart(sheet.data(rings)).encode(x=x, y=y)
        layers += [
            ringed.mark_point(filled=False, size=260, color=colour("ink"), strokeWidth=1.5),
            ringed.mark_text(
                align="right", dx=8, dy=24, fontSize=12, fontWeight=600, color=colour("ink")
            ).encode(text=alt.Text("text:N")),
        ]
    return sheet.layers(*layers, height=300)


def _throughput_table(points: Sequence[PointReport], names: dict[str, str]) -> Table:
    headings = ("load", "requests/s", "tokens/s", "tokens/s, completed", "E2E median", "E2E p95")
    rows = []
    for point in points:
        figures = point.figures
        name = names[point.name] if point.is_valid else f"{names[point.name]} ({point.outcome})"
        if figures is None:
            rows.append((name, *("–",) * 5))
            continue
        rows.append(
            (
                name,
                rate_text(figures.requests_per_s),
                text(figures.tokens_per_s, 0),
                text(figures.completed_tokens_per_s, 0),
                time_text(figures.latency_s.median),
                time_text(figures.latency_s.p95),
            )
        )
    return Table("Throughput and end-to-end latency by load", headings, tuple(rows))


def latency_by_load(host: HostReport, key: str = "latency") -> Picture:
    """TTFT, ITL and end-to-end latency over the loads; below ITL, what the memory allows."""
    title = "How long does a user wait as the load rises?"
    points = by_load(host)
    names = labels(points)
    valid = [point for point in points if point.is_valid and point.figures is not None]
    table = _latency_table(points, names)
    if not valid:
        return without(key, title, "No point is valid, so no latency is shown.", table)
    sheet, panels, shown = Sheet(), [], []
    for kind, meaning, read in _KINDS:
        is_last = kind == _KINDS[-1][0]
        panel = _panel(sheet, host, valid, names, (kind, meaning), read, is_last)
        if panel is not None:
            panels.append(panel)
            shown.append(kind)
    if not panels:
        return without(key, title, "GuideLLM reported no latency for any valid point.", table)
    alt = f"{', '.join(shown)}: median, p95 and p99 of {len(valid)} valid points, by load."
    notes = [not_valid_note(points)]
    if host.itl_floor_s is not None and "ITL" in shown:
        alt += f" No token can come faster than {time_text(host.itl_floor_s)}."
        notes.append(host.itl_floor_source)
    chart = sheet.below(panels)
    note = sentences(*notes)
    return drawn(key, title, alt, sheet.spec(chart), note=note, table=table)


def _panel(
    sheet: Sheet,
    host: HostReport,
    points: Sequence[PointReport],
    names: dict[str, str],
    kind: tuple[str, str],
    read: Callable[[Figures], Percentiles],
    is_last: bool,
) -> Any:
    alt = altair()
    measured = [
        (point, quantile, getattr(read(point.figures), quantile))
        for point in points
        if point.figures is not None
        for quantile in _QUANTILES
    ]
    floor = host.itl_floor_s if kind[0] == "ITL" else None
    factor, unit = time_unit([*(value for *_, value in measured), floor])
    values = [
        {"point": names[point.name], "q": quantile, "value": rounded(value * factor)}
        for point, quantile, value in measured
        if value is not None
    ]
    if not values:
        return None
    x = alt.X(
        "point:N",
        sort=[names[point.name] for point in points],
        title=None,
        axis=load_axis(len(points), is_last),
        scale=alt.Scale(type="point", padding=0.3),
    )
    base = alt.Chart(sheet.data(values)).encode(
        x=x,
        y=alt.Y("value:Q", title=f"{kind[0]}, {unit}", scale=alt.Scale(zero=True)),
        color=_scaled(alt.Color, [colour(name) for name in _COLOURS]),
    )
    lines = base.mark_line(strokeWidth=1.5).encode(
        strokeDash=_scaled(alt.StrokeDash, list(_DASHES))
    )
    dots = base.mark_point(filled=True, size=50, opacity=1).encode(
        shape=_scaled(alt.Shape, list(_SHAPES)),
        tooltip=[
            alt.Tooltip("point:N", title="load"),
            alt.Tooltip("q:N", title=kind[1]),
            alt.Tooltip("value:Q", title=unit, format=",.4~g"),
        ],
    )
    layers = [lines, dots]
    if floor is not None:
        at = alt.Chart(sheet.data([{"floor": rounded(floor * factor)}]))
        layers += [
            at.mark_rule(strokeDash=[3, 3], color=colour("muted"), strokeWidth=1.5).encode(
                y=alt.Y("floor:Q")
            ),
            at.mark_text(align="left", dy=11, fontSize=11, color=colour("muted")).encode(
                y=alt.Y("floor:Q"),
                x=alt.value(4),
                text=alt.value(f"bandwidth floor {time_text(floor)}"),
            ),
        ]
    return sheet.layers(*layers, height=150, title=f"{kind[0]}, {kind[1]}")


def _scaled(channel: Any, values: list[Any]) -> Any:
    return channel("q:N", scale=altair().Scale(domain=list(_QUANTILES), range=values))


def _latency_table(points: Sequence[PointReport], names: dict[str, str]) -> Table:
    headings = (
        "load",
        *(f"{kind} {quantile}" for kind, *_ in _KINDS for quantile in _QUANTILES),
    )
    rows = []
    for point in points:
        name = names[point.name] if point.is_valid else f"{names[point.name]} ({point.outcome})"
        figures = point.figures
        cells = (
            ["–"] * 9
            if figures is None
            else [
                time_text(getattr(read(figures), quantile))
                for *_, read in _KINDS
                for quantile in _QUANTILES
            ]
        )
        rows.append((name, *cells))
    return Table("Latency by load", headings, tuple(rows))
