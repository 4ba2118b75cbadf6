"""A prediction as a picture: the KV cache, what runs and what waits, over time. SVG, no library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from rocminfra.planning.prediction.virtual_run import Trace

_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _GAP = 760, 200, 60, 60, 46, 66
_USAGE, _RUNNING, _WAITING, _GREY = "#c6402f", "#1f6fb2", "#7a7a7a", "#999999"
# A line of more points than pixels shows nothing more.
_MOST_POINTS = 600


@dataclass(frozen=True)
class Panel:
    """One chart.

    + title: above it
    + trace: what is drawn
    + figures: what is predicted, with its ranges, below the title
    """

    title: str
    trace: Trace
    figures: str = ""


def prediction_svg(title: str, panels: Sequence[Panel]) -> str:
    """The picture: a chart for every panel, below each other."""
    height = _TOP + len(panels) * (_PANEL + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" font-size="15">{escape(title)}</text>',
    ]
    for index, panel in enumerate(panels):
        parts.extend(_panel(panel, _TOP + index * (_PANEL + _GAP)))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _panel(panel: Panel, top: int) -> list[str]:
    moments = panel.trace.moments
    right, bottom = _WIDTH - _RIGHT, top + 20 + _PANEL - 20
    plot_top = top + 20
    most = max((max(moment.running, moment.waiting) for moment in moments), default=1) or 1

    def line(values: Sequence[float], largest: float) -> str:
        points = []
        step = max(1, len(moments) // _MOST_POINTS)
        for moment, value in list(zip(moments, values, strict=True))[::step]:
            x = _LEFT + (right - _LEFT) * min(1.0, moment.at / panel.trace.seconds)
            y = bottom - (bottom - plot_top) * value / largest
            points.append(f"{x:.1f},{y:.1f}")
        return " ".join(points)

    usage = line([moment.kv_usage for moment in moments], 1.0)
    parts = [f'<text x="{_LEFT}" y="{top + 10}" font-size="13">{escape(panel.title)}</text>']
    if panel.figures:
        parts.append(
            f'<text x="{right}" y="{bottom + 32}" text-anchor="end" fill="{_GREY}">'
            f"{escape(panel.figures)}</text>"
        )
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - (bottom - plot_top) * share
        parts.append(
            f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>'
        )
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="{_USAGE}">'
            f"{share:.0%}</text>"
        )
        parts.append(
            f'<text x="{right + 6}" y="{y + 4:.1f}" fill="{_RUNNING}">{most * share:.0f}</text>'
        )
    if usage:
        first, last = usage.split(" ")[0].split(",")[0], usage.split(" ")[-1].split(",")[0]
        parts.append(
            f'<polygon points="{first},{bottom} {usage} {last},{bottom}" fill="{_USAGE}" '
            'fill-opacity="0.18"/>'
        )
        parts.append(_polyline(usage, _USAGE))
        parts.append(_polyline(line([moment.waiting for moment in moments], most), _WAITING))
        parts.append(_polyline(line([moment.running for moment in moments], most), _RUNNING))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _LEFT + (right - _LEFT) * share
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="{_GREY}">'
            f"{panel.trace.seconds * share:.0f} s</text>"
        )
    for offset, (name, colour) in enumerate(
        (("KV cache", _USAGE), ("running", _RUNNING), ("waiting", _WAITING))
    ):
        parts.append(
            f'<text x="{_LEFT + offset * 90}" y="{bottom + 32}" fill="{colour}">{name}</text>'
        )
    return parts


def _polyline(points: str, colour: str) -> str:
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
