"""How runs of one scenario developed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocminfra.report.charts.library import altair
from rocminfra.report.charts.picture import (
    Picture,
    Sheet,
    Table,
    drawn,
    load_axis,
    rate_text,
    rounded,
    text,
    time_text,
    without,
)
from rocminfra.report.charts.style import colour
from rocminfra.report.history import RunLine

_SHADES = ("blue", "vermillion", "green", "purple", "grey")
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")
_PANELS = (
    ("tokens_per_s", "tokens/s at saturation", 1.0),
    ("itl_median_s", "ITL median at the lowest load, ms", 1000.0),
    ("usd_per_million_tokens", "$ a million tokens at saturation", 1.0),
)


def trend(lines: Sequence[RunLine], key: str) -> Picture:
    """Throughput, ITL and price of one scenario's runs, oldest first, a line for each host.

    + lines: of one scenario; invalid runs have no figures and are on no line
    """
    title = f"Did {lines[0].scenario} get better or worse?" if lines else "Did it get better?"
    hosts = list(dict.fromkeys(line.host for line in lines))
    names = {line.run: _when(line) for line in lines}
    table = _table(lines)
    usable = [line for line in lines if line.is_valid]
    if not usable:
        return without(key, title, "No run of this scenario is valid.", table)
    sheet = Sheet()
    filled = [
        (field, label, factor)
        for field, label, factor in _PANELS
        if any(getattr(line, field) is not None for line in usable)
    ]
    if not filled:
        return without(key, title, "No valid run has a figure to follow.", table)
    order = list(dict.fromkeys(names[line.run] for line in usable))
    panels = [
        _panel(sheet, usable, hosts, (order, names), panel, panel == filled[-1]) for panel in filled
    ]
    alt = f"{len(usable)} valid runs of {len(lines)} on {len(hosts)} "
    alt += f"{'host' if len(hosts) == 1 else 'hosts'}, oldest first."
    return drawn(key, title, alt, sheet.spec(sheet.below(panels)), table=table)


def _when(line: RunLine) -> str:
    return line.run if line.made_at is None else line.made_at[:16].replace("T", " ")


def _panel(
    sheet: Sheet,
    lines: Sequence[RunLine],
    hosts: list[str],
    runs: tuple[list[str], dict[str, str]],
    panel: tuple[str, str, float],
    is_last: bool,
) -> Any:
    alt = altair()
    field, label, factor = panel
    order, names = runs
    values = [
        {
            "run": names[line.run],
            "id": line.run,
            "host": line.host,
            "value": rounded(getattr(line, field) * factor),
        }
        for line in lines
        if getattr(line, field) is not None
    ]
    shades = [colour(_SHADES[index % len(_SHADES)]) for index in range(len(hosts))]
    shapes = [_SHAPES[index % len(_SHAPES)] for index in range(len(hosts))]
    base = alt.Chart(sheet.data(values)).encode(
        x=alt.X(
            "run:N",
            sort=order,
            title=None,
            axis=load_axis(len(order), is_last),
            scale=alt.Scale(type="point", padding=0.5, domain=order),
        ),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=4)),
        color=alt.Color("host:N", scale=alt.Scale(domain=hosts, range=shades)),
    )
    dots = base.mark_point(filled=True, size=60, opacity=1).encode(
        shape=alt.Shape("host:N", scale=alt.Scale(domain=hosts, range=shapes)),
        tooltip=[
            alt.Tooltip("id:N", title="run"),
            alt.Tooltip("host:N"),
            alt.Tooltip("value:Q", title=label, format=",.4~g"),
        ],
    )
    return sheet.layers(base.mark_line(strokeWidth=1.5), dots, height=120, title=label)


def _table(lines: Sequence[RunLine]) -> Table:
    headings = ("run", "host", "outcome", "tokens/s", "requests/s", "TTFT", "ITL", "$/M tokens")
    rows = tuple(
        (
            line.run,
            line.host,
            "valid" if line.is_valid else "invalid",
            text(line.tokens_per_s, 0),
            rate_text(line.requests_per_s),
            time_text(line.ttft_median_s),
            time_text(line.itl_median_s),
            text(line.usd_per_million_tokens, 3),
        )
        for line in lines
    )
    return Table("Runs, oldest first", headings, rows)
