"""What a picture is, and what all pictures share: order of loads, units, numbers as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rocminfra.report.charts.library import altair
from rocminfra.report.charts.style import config
from rocminfra.report.point_report import PointReport
from rocminfra.report.summary import HostReport

WIDTH = 640
# A line of more points than this shows nothing more at a page's width.
MOST_POINTS = 400
_PROFILES = ("synchronous", "concurrent", "constant", "poisson", "throughput")


@dataclass(frozen=True)
class Table:
    """The figures of a picture, for a reader who cannot see it or wants the digits.

    + caption: what the rows are
    + headings: the first one is that of the rows' names
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """One picture, or the reason why there is none.

    + key: unique on a page; part of file names and links
    + title: the question that it answers
    + alt: what it shows, in words
    + spec: a Vega-Lite specification; None when there is nothing to show
    + nothing: why there is nothing to show
    + note: a sentence below it
    """

    key: str
    title: str
    alt: str
    spec: dict[str, Any] | None = None
    nothing: str | None = None
    note: str | None = None
    table: Table | None = None


def without(key: str, title: str, why: str, table: Table | None = None) -> Picture:
    """A picture that cannot be drawn.

    + why: a sentence with the reason, and the remedy where there is one
    """
    return Picture(key, title, why, nothing=why, table=table)


class Sheet:
    """The rows that the charts of one picture show.

    Altair copies and checks a chart again and again while it is put together: with thousands of
    rows and a dozen layers that takes seconds. So a chart names its rows, which come in at the end,
    and finished charts are put together as what they are in a specification: lists.
    """

    def __init__(self) -> None:
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def data(self, rows: list[dict[str, Any]]) -> Any:
        """The rows under a name, for a chart."""
        name = f"rows-{len(self._rows) + 1}"
        self._rows[name] = rows
        return altair().NamedData(name=name)

    def layers(self, *charts: Any, height: int, title: str | None = None) -> dict[str, Any]:
        """Charts on top of each other, the first one lowest."""
        found: dict[str, Any] = {
            "layer": [_alone(chart) for chart in charts],
            "width": WIDTH,
            "height": height,
        }
        return found if title is None else {**found, "title": {"text": title, "fontSize": 12}}

    def below(self, panels: Iterable[Any]) -> dict[str, Any]:
        """Charts below each other, which share their colours, shapes and legend."""
        return {"vconcat": [_alone(panel) for panel in panels]}

    def spec(self, chart: Any) -> dict[str, Any]:
        """The specification of the finished chart with all its rows.

        Tests check it against Vega-Lite's schema; that takes too long to do for every reader.
        """
        return {
            "$schema": altair().SCHEMA_URL,
            **_alone(chart),
            "config": config(),
            "datasets": dict(self._rows),
        }


def _alone(chart: Any) -> dict[str, Any]:
    """A chart as a part of another specification."""
    if isinstance(chart, dict):
        return chart
    found: dict[str, Any] = chart.to_dict(validate=False)
    return {key: part for key, part in found.items() if key not in ("$schema", "config")}


def drawn(key: str, title: str, alt: str, spec: dict[str, Any], **more: Any) -> Picture:
    """A picture of a specification.

    + more: ``note`` and ``table``
    """
    return Picture(key, title, alt, spec, **more)


def by_load(host: HostReport) -> tuple[PointReport, ...]:
    """The host's points from the lightest load to the heaviest.

    One request at a time comes first, as many as the engine takes last; in between, by the number
    of streams or by the rate.
    """

    def key(point: PointReport) -> tuple[int, float]:
        load = point.load
        rank = _PROFILES.index(load.profile) if load.profile in _PROFILES else len(_PROFILES)
        return rank, load.streams or load.rate_per_s or 0.0

    return tuple(sorted(host.points, key=key))


def labels(points: Sequence[PointReport]) -> dict[str, str]:
    """Names of points for an axis; of points that repeat a load, the later ones are numbered."""
    found: dict[str, str] = {}
    seen: dict[str, int] = {}
    for point in points:
        label = point.load.label
        seen[label] = seen.get(label, 0) + 1
        found[point.name] = label if seen[label] == 1 else f"{label} ({seen[label]})"
    return found


def load_axis(points: int, is_labelled: bool = True) -> Any:
    """The axis of loads; of panels below each other only the lowest one is labelled."""
    if not is_labelled:
        return altair().Axis(labels=False, ticks=False)
    return altair().Axis(labelAngle=-35 if points > 3 else 0, labelLimit=120)


def titled(picture: Picture) -> dict[str, Any]:
    """The specification with the picture's question above it, for a file of its own.

    Raises :class:`ValueError` when there is nothing to show.
    """
    if picture.spec is None:
        raise ValueError(f"{picture.key}: {picture.nothing}")
    heading: dict[str, Any] = {"text": picture.title, "fontSize": 15}
    return {**picture.spec, "title": heading}


def time_unit(seconds: Iterable[float | None]) -> tuple[float, str]:
    """Factor and name of the unit for times: milliseconds while all are below two seconds."""
    largest = max((value for value in seconds if value is not None), default=0.0)
    return (1000.0, "ms") if largest < 2 else (1.0, "s")


def text(value: float | None, digits: int = 2) -> str:
    """A number for a table; a dash for what was not measured."""
    return "–" if value is None else f"{value:,.{digits}f}"


def rate_text(value: float | None) -> str:
    """Something a second: three digits, and no more than that claims."""
    if value is None:
        return "–"
    return text(value, 0 if value >= 100 else 1 if value >= 10 else 2)


def time_text(seconds: float | None) -> str:
    """A time with its unit."""
    if seconds is None:
        return "–"
    if seconds < 2:
        return f"{seconds * 1000:,.1f} ms" if seconds < 0.1 else f"{seconds * 1000:,.0f} ms"
    return f"{seconds:,.2f} s" if seconds < 100 else f"{seconds:,.0f} s"


def rounded(value: float | None) -> float | None:
    """Five digits, which is more than a picture shows and less than a page should carry."""
    return None if value is None else float(f"{value:.5g}")


def not_valid_note(points: Sequence[PointReport]) -> str | None:
    """What to say of points that a picture shows apart or leaves out."""
    names = [point.load.label for point in points if not point.is_valid]
    if not names:
        return None
    return f"not valid, and part of no line: {', '.join(names)}"


def sentences(*parts: str | None) -> str | None:
    """Parts of a note as sentences; None when all are missing."""
    given = [part.rstrip(".") for part in parts if part]
    return " ".join(f"{part[:1].upper()}{part[1:]}." for part in given) or None
