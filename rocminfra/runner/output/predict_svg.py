"""A prediction as a picture: the KV cache, what runs and what waits, over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rocminfra.planning.prediction.virtual_run import Trace
from rocminfra.report.charts.library import altair, svg
from rocminfra.report.charts.style import colour, config

_WIDTH = 640
# A line of more points than pixels shows nothing more.
_MOST_POINTS = 600


@dataclass(frozen=True)
class Panel:
    """One point's pictures.

    + title: above them
    + trace: what is drawn
    + figures: what is predicted, with its ranges, below the title
    """

    title: str
    trace: Trace
    figures: str = ""


def prediction_svg(title: str, panels: Sequence[Panel]) -> str:
    """The picture: two charts for every panel, below each other.

    Raises :class:`FailedError` when the libraries are not installed.
    """
    return svg(prediction_spec(title, panels)) + "\n"


def prediction_spec(title: str, panels: Sequence[Panel]) -> dict[str, Any]:
    """The same as a Vega-Lite specification."""
    alt = altair()
    charts = [_panel(alt, panel) for panel in panels]
    chart = (
        alt.vconcat(*charts, spacing=30)
        .resolve_legend(color="independent", strokeDash="independent")
        .properties(title=title, config=config())
    )
    found: dict[str, Any] = chart.to_dict()
    return found


def _panel(alt: Any, panel: Panel) -> Any:
    moments = panel.trace.moments[:: max(1, len(panel.trace.moments) // _MOST_POINTS)]
    usage = [{"s": round(each.at, 2), "kv": round(each.kv_usage, 4)} for each in moments]
    sequences = [
        {"s": round(each.at, 2), "state": state, "count": count}
        for each in moments
        for state, count in (("running", each.running), ("waiting", each.waiting))
    ]
    at = alt.X(
        "s:Q", title="seconds", scale=alt.Scale(domain=[0, panel.trace.length_s], nice=False)
    )
    top = (
        alt.Chart(alt.Data(values=usage), height=130, width=_WIDTH)
        .mark_area(
            interpolate="step-after",
            fill=colour("blue"),
            fillOpacity=0.15,
            line={"color": colour("blue"), "strokeWidth": 1.5},
        )
        .encode(
            x=at.axis(labels=False, ticks=False, title=None),
            y=alt.Y("kv:Q", title="KV cache used", scale=alt.Scale(domain=[0, 1])).axis(
                format=".0%"
            ),
        )
    )
    below = (
        alt.Chart(alt.Data(values=sequences), height=110, width=_WIDTH)
        .mark_line(interpolate="step-after", strokeWidth=1.5)
        .encode(
            x=at,
            y=alt.Y("count:Q", title="requests", scale=alt.Scale(zero=True)),
            color=alt.Color(
                "state:N",
                scale=alt.Scale(
                    domain=["running", "waiting"], range=[colour("green"), colour("vermillion")]
                ),
            ),
            strokeDash=alt.StrokeDash(
                "state:N",
                scale=alt.Scale(domain=["running", "waiting"], range=[[1, 0], [4, 2]]),
            ),
        )
    )
    heading = alt.TitleParams(panel.title, subtitle=panel.figures or alt.Undefined)
    return (
        alt.vconcat(top, below, spacing=8)
        .resolve_legend(color="independent", strokeDash="independent")
        .properties(title=heading)
    )
