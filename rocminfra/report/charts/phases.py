"""Where a request's time goes, by the engine's own histograms."""

from __future__ import annotations

from rocminfra.report.charts.library import altair
from rocminfra.report.charts.picture import (
    WIDTH,
    Picture,
    Sheet,
    Table,
    by_load,
    drawn,
    labels,
    not_valid_note,
    rounded,
    sentences,
    time_text,
    time_unit,
    without,
)
from rocminfra.report.charts.style import colour
from rocminfra.report.summary import HostReport

_NAMES = ("queue", "prefill", "decode")
_COLOURS = ("vermillion", "blue", "green")


def phases(host: HostReport, key: str = "phases") -> Picture:
    """Mean seconds a request spent waiting, being read and being answered, by load."""
    title = "Where does a request's time go?"
    points = [point for point in by_load(host) if point.is_valid and point.phases]
    if not points:
        why = (
            "The engine's histograms of queue, prefill and decode are on record for no valid point."
        )
        return without(key, title, why)
    names = labels(by_load(host))
    factor, unit = time_unit(phase.mean_s for point in points for phase in point.phases)
    values = [
        {
            "point": names[point.name],
            "phase": phase.name,
            "order": _NAMES.index(phase.name) if phase.name in _NAMES else len(_NAMES),
            "value": rounded(phase.mean_s * factor),
        }
        for point in points
        for phase in point.phases
    ]
    alt, sheet = altair(), Sheet()
    chart = (
        alt.Chart(sheet.data(values), width=WIDTH, height=alt.Step(26))
        .mark_bar(stroke=colour("surface"), strokeWidth=1)
        .encode(
            y=alt.Y("point:N", sort=[names[point.name] for point in points], title=None),
            x=alt.X("value:Q", title=f"mean time of a request, {unit}", stack="zero"),
            color=alt.Color(
                "phase:N",
                scale=alt.Scale(domain=list(_NAMES), range=[colour(name) for name in _COLOURS]),
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("point:N", title="load"),
                alt.Tooltip("phase:N"),
                alt.Tooltip("value:Q", title=unit, format=",.4~g"),
            ],
        )
    )
    last = points[-1]
    total = sum(phase.mean_s for phase in last.phases)
    shares = ", ".join(
        f"{phase.name} {phase.mean_s / total:.0%}" for phase in last.phases if total > 0
    )
    rows = tuple(
        (
            names[point.name],
            phase.name,
            time_text(phase.mean_s),
            time_text(phase.median_s),
            time_text(phase.p95_s),
            f"{phase.requests:,}",
        )
        for point in points
        for phase in point.phases
    )
    headings = ("load", "phase", "mean", "median", "p95", "requests")
    return drawn(
        key,
        title,
        f"Mean time in queue, prefill and decode for {len(points)} loads; at {last.load.label}: "
        f"{shares}.",
        sheet.spec(chart),
        note=sentences(not_valid_note(host.points)),
        table=Table("Phases of a request, from the engine's histograms", headings, rows),
    )
