"""One HTML file that needs nothing else: no network, no other file, no server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rocminfra.report.charts.library import script, svg
from rocminfra.report.charts.picture import Picture
from rocminfra.report.charts.style import DARK, FONT, LIGHT, css_variables
from rocminfra.report.charts.trend import trend
from rocminfra.report.history import History
from rocminfra.report.page.contents import sections
from rocminfra.report.summary import Report

_FOLDER = Path(__file__).parent


def render(report: Report) -> str:
    """The page of a report.

    Raises :class:`FailedError` when the libraries that draw are not installed.
    """
    return page("report.html.j2", report=report, sections=sections(report))


def render_index(history: History) -> str:
    """The page over all runs: the trend of each scenario, and links to the reports.

    Raises :class:`FailedError` when the libraries that draw are not installed.
    """
    scenarios = dict.fromkeys(line.scenario for line in history.lines)
    groups = []
    for number, scenario in enumerate(scenarios, start=1):
        lines = [line for line in history.lines if line.scenario == scenario]
        groups.append((scenario, lines, trend(lines, f"trend-{number}")))
    runs: dict[str, bool] = {}
    for line in history.lines:
        runs[line.run] = runs.get(line.run, True) and line.is_valid
    return page(
        "index.html.j2",
        history=history,
        groups=groups,
        runs=len(runs),
        valid=sum(runs.values()),
    )


def page(template: str, **values: Any) -> str:
    """A page with the style sheet, the scripts and the filters that all pages have."""
    # Everything from hosts is escaped by default; what is not is marked here, and only here.
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["picture"] = _picture
    environment.filters["json"] = _json
    return environment.get_template(template).render(
        **values,
        light=Markup(css_variables(LIGHT)),
        dark=Markup(css_variables(DARK)),
        font=Markup(FONT),
        style=Markup(_own("page.css")),
        library=Markup(script()),
        script=Markup(_own("page.js")),
    )


def _own(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _picture(picture: Picture) -> Markup:
    """The picture as it is before any script ran, and without one."""
    return Markup(svg(picture.spec or {}, palette=None))


def _json(value: Any) -> Markup:
    """A value inside a script element, which only its end tag or a comment would leave."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
