"""Colours and type of all pictures: light, dark, and as a page's CSS variables.

A specification names its colours as CSS variables. A page gives them values for light and dark, so
that a picture follows the reader; a file has no style sheet, so :func:`resolved` puts them in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), which colour-blind readers can tell
# apart. On white, its yellow, orange and sky blue have less contrast than 3:1 (WCAG 2.1, 1.4.11);
# on a dark page those replace blue and vermillion.
LIGHT: Final[Mapping[str, str]] = {
    "ink": "#1b1f24",
    "muted": "#59626d",
    "grid": "#e3e7eb",
    "axis": "#9aa4af",
    "surface": "#ffffff",
    "window": "#0072b2",
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#00805e",
    "purple": "#b1568b",
    "grey": "#6b7480",
}
DARK: Final[Mapping[str, str]] = {
    "ink": "#e8ebee",
    "muted": "#a3adb8",
    "grid": "#2c333b",
    "axis": "#5d6874",
    "surface": "#15191e",
    "window": "#56b4e9",
    "blue": "#56b4e9",
    "vermillion": "#e69f00",
    "green": "#29c79c",
    "purple": "#d98fba",
    "grey": "#98a2ad",
}
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"


def colour(name: str) -> str:
    """A colour of the palette for a specification.

    + name: a key of :data:`LIGHT`

    Raises :class:`KeyError` for any other name.
    """
    if name not in LIGHT:
        raise KeyError(name)
    return f"var(--{name})"


def css_variables(palette: Mapping[str, str]) -> str:
    """The palette as declarations of a style sheet."""
    return " ".join(f"--{name}: {value};" for name, value in palette.items())


def resolved(value: Any, palette: Mapping[str, str]) -> Any:
    """A specification with the palette's values in place of variables.

    + value: a specification, or a part of one
    """
    if isinstance(value, dict):
        # Data is somebody's text: a colour's name in it is not a colour.
        return {
            key: part if key in ("values", "datasets") else resolved(part, palette)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [resolved(part, palette) for part in value]
    if isinstance(value, str) and value.startswith("var(--"):
        return palette.get(value[6:-1], value)
    return value


def config(font: str = FONT) -> dict[str, Any]:
    """Vega-Lite's configuration for every picture."""
    return {
        "background": "transparent",
        "font": font,
        "view": {"stroke": None},
        "title": {
            "anchor": "start",
            "color": colour("ink"),
            "fontSize": 13,
            "fontWeight": 600,
            "subtitleColor": colour("muted"),
            "subtitleFontSize": 12,
            "offset": 10,
        },
        "axis": {
            "domainColor": colour("axis"),
            "gridColor": colour("grid"),
            "labelColor": colour("muted"),
            "labelFontSize": 11,
            "tickColor": colour("axis"),
            "tickSize": 4,
            "titleColor": colour("muted"),
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "titlePadding": 8,
        },
        "axisX": {"grid": False, "labelFlush": False},
        # All pictures of a page begin at the same distance from the left.
        "axisY": {"domain": False, "ticks": False, "minExtent": 42, "tickCount": 5},
        "legend": {
            "columns": 6,
            "labelColor": colour("ink"),
            "labelFontSize": 11,
            "orient": "top",
            "offset": 6,
            "symbolStrokeWidth": 2,
            "title": None,
        },
        "concat": {"spacing": 14},
        "line": {"strokeWidth": 2},
    }
