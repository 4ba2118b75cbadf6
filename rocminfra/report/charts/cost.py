"""What tokens cost, and how much of the work meets the reader's objectives."""

from __future__ import annotations

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
    not_valid_note,
    rate_text,
    rounded,
    sentences,
    text,
    without,
)
from rocminfra.report.charts.style import colour
from rocminfra.report.summary import HostReport

_ALL, _COMPLETED = "all tokens", "completed requests only"


def cost_by_load(host: HostReport, key: str = "cost") -> Picture:
    """Dollars a million tokens over the loads."""
    title = "What does a million tokens cost?"
    points = [point for point in by_load(host) if point.is_valid and point.cost is not None]
    if not host.is_valid:
        return without(key, title, "The run is not valid, so there is no price.")
    if not points:
        why = "No price is in the settings (usd_per_hour), so there is no cost."
        if host.economics is not None and host.economics.usd_per_hour is not None:
            why = "No valid point has a throughput to divide the price by."
        return without(key, title, why)
    names = labels(by_load(host))
    values = [
        {"point": names[point.name], "series": series, "value": rounded(value)}
        for point in points
        if point.cost is not None
        for series, value in (
            (_ALL, point.cost.usd_per_million_tokens),
            (_COMPLETED, point.cost.usd_per_million_completed_tokens),
        )
        if value is not None
    ]
    rows = tuple(
        (
            names[point.name],
            text(point.cost.usd_per_million_tokens, 3),
            text(point.cost.usd_per_million_completed_tokens, 3),
            text(point.cost.usd_per_million_output_tokens, 3),
            text(point.cost.requests_per_usd, 0),
            text(None if point.energy is None else point.energy.joules_per_token, 2),
        )
        for point in points
        if point.cost is not None
    )
    headings = (
        *("load", "$/M, all", "$/M, completed", "$/M, output only"),
        *("requests/$", "joules/token"),
    )
    table = Table("Cost by load", headings, rows)
    if not values:
        return without(key, title, "No valid point has a throughput.", table)
    sort = [names[point.name] for point in points]
    sheet = Sheet()
    chart = _by_load(
        sheet, values, sort, [(_ALL, "blue", "circle"), (_COMPLETED, "vermillion", "square")]
    )
    cheapest = min(values, key=lambda row: row["value"] or 0)
    alt = f"Dollars a million tokens at {len(points)} loads, lowest {cheapest['value']} at "
    alt += f"{cheapest['point']} ({cheapest['series']})."
    notes = [host.economics.explanation if host.economics else None, not_valid_note(host.points)]
    return drawn(key, title, alt, sheet.spec(chart), note=sentences(*notes), table=table)


def _by_load(
    sheet: Sheet, values: list[dict[str, Any]], sort: list[str], series: list[tuple[str, str, str]]
) -> Any:
    alt = altair()
    domain = [row[0] for row in series]
    base = alt.Chart(sheet.data(values)).encode(
        x=alt.X(
            "point:N",
            sort=sort,
            title=None,
            axis=load_axis(len(sort)),
            scale=alt.Scale(type="point", padding=0.3),
        ),
        y=alt.Y("value:Q", title="$ a million tokens", axis=alt.Axis(format="$,.2f")),
        color=alt.Color(
            "series:N", scale=alt.Scale(domain=domain, range=[colour(row[1]) for row in series])
        ),
    )
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(
        shape=alt.Shape(
            "series:N", scale=alt.Scale(domain=domain, range=[row[2] for row in series])
        ),
        tooltip=[
            alt.Tooltip("point:N", title="load"),
            alt.Tooltip("series:N", title="of"),
            alt.Tooltip("value:Q", title="$/M tokens", format="$,.3f"),
        ],
    )
    return sheet.layers(base.mark_line(strokeWidth=1.5), dots, height=220)


def goodput(host: HostReport, key: str = "goodput") -> Picture:
    """Requests a second that meet the objectives, beside all completed ones."""
    title = "How much of the work meets the objectives?"
    if host.slo is None:
        why = "No objective was given; `--slo ttft_p95=2s,itl_p95=100ms` gives one."
        return without(key, title, why)
    points = [point for point in by_load(host) if point.slo is not None]
    names = labels(by_load(host))
    rows = tuple(
        (
            names[point.name],
            {True: "met", False: "missed", None: "not valid"}[point.slo.met],
            rate_text(point.slo.goodput_per_s),
            rate_text(None if point.figures is None else point.figures.requests_per_s),
            "–" if point.slo.attained is None else f"{point.slo.attained:.1%}",
            "; ".join(point.slo.misses) or "–",
        )
        for point in points
        if point.slo is not None
    )
    headings = ("load", "objectives", "goodput, req/s", "all, req/s", "share", "why")
    table = Table("Objectives by load", headings, rows)
    values = []
    for point in points:
        if point.slo is None or point.slo.met is None or point.slo.goodput_per_s is None:
            continue
        good = point.slo.goodput_per_s
        done = point.figures.requests_per_s if point.figures else None
        name = names[point.name]
        values.append({"point": name, "series": "meets all", "order": 0, "value": rounded(good)})
        if done is not None:
            rest = rounded(max(0.0, done - good))
            values.append({"point": name, "series": "misses one", "order": 1, "value": rest})
    if not values:
        why = "No requests are on record to count those that meet the objectives."
        return without(key, title, str(sentences(host.slo.text, why)), table)
    alt, sheet = altair(), Sheet()
    domain = ["meets all", "misses one"]
    chart = (
        alt.Chart(sheet.data(values), width=WIDTH, height=alt.Step(26))
        .mark_bar()
        .encode(
            y=alt.Y("point:N", sort=[names[point.name] for point in points], title=None),
            x=alt.X("value:Q", title="requests a second", stack="zero"),
            color=alt.Color(
                "series:N",
                scale=alt.Scale(domain=domain, range=[colour("green"), colour("vermillion")]),
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("point:N", title="load"),
                alt.Tooltip("series:N", title="objectives"),
                alt.Tooltip("value:Q", title="requests/s", format=",.3~g"),
            ],
        )
    )
    return drawn(
        key, title, host.slo.text, sheet.spec(chart), note=sentences(host.slo.text), table=table
    )
