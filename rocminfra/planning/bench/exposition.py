"""A page of the engine's ``/metrics``, in Prometheus's text format.

Values end before a time stamp and before an exemplar (``# {trace_id="…"} 1.0``), and a label's
value may hold blanks and braces. Source: "Exposition formats" of https://prometheus.io/docs and
OpenMetrics 1.0. Standard library only: this module also runs on the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_LINE = re.compile(
    r"[ \t]*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*"
    r'(?:\{(?P<labels>(?:[^"{}]|"(?:[^"\\]|\\.)*")*)\})?'
    r"(?:(?<=\})[ \t]*|(?<!\})[ \t]+)(?P<value>\S+)"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"')


def samples(page: str) -> Iterator[tuple[str, str, str]]:
    """Name, labels as they are written, and value of each sample; other lines are passed over."""
    for line in page.split("\n"):
        match = None if line.lstrip().startswith("#") else _LINE.match(line)
        if match is not None:
            yield match["name"], match["labels"] or "", match["value"]


def labels(written: str) -> dict[str, str]:
    """Labels by name; backslashes stay as they are.

    + written: what stands between the braces
    """
    return dict(_LABEL.findall(written))
