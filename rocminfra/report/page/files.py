"""A report's pictures as files: for Markdown, a pull request, the summary of a CI step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rocminfra.report.charts.library import png, svg
from rocminfra.report.charts.picture import titled
from rocminfra.report.page.contents import overview
from rocminfra.report.summary import Report


@dataclass(frozen=True)
class PictureFile:
    """One picture in one format.

    + name: of the file, such as ``latency.svg``
    + title: the question that it answers
    + alt: what it shows, in words: text from hosts, to be escaped
    """

    name: str
    title: str
    alt: str
    content: bytes


def picture_files(report: Report) -> Iterator[PictureFile]:
    """The pictures over all points of each host, as SVG and as PNG; none for what has no data.

    Raises :class:`FailedError` when the libraries that draw are not installed.
    """
    for number, host in enumerate(report.hosts, start=1):
        prefix = f"h{number}-" if len(report.hosts) > 1 else ""
        for picture in overview(host, prefix):
            if picture.spec is None:
                continue
            spec = titled(picture)
            title = picture.title if len(report.hosts) == 1 else f"{host.host}: {picture.title}"
            drawn = svg(spec).encode("utf-8")
            yield PictureFile(f"{picture.key}.svg", title, picture.alt, drawn)
            yield PictureFile(f"{picture.key}.png", title, picture.alt, png(spec))
