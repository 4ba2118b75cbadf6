"""A report as files: the page, ``summary.json``, CSV, and Markdown with its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.report import summary_json
from rocminfra.report.figures.history import PAGE
from rocminfra.report.page.files import PictureFile, picture_files
from rocminfra.report.page.html import render
from rocminfra.report.summary import Report
from rocminfra.report.tables import csv_text, markdown_text

SUMMARY, TABLE, TEXT = "summary.json", "points.csv", "report.md"


@dataclass(frozen=True)
class Written:
    """What was written.

    + page: the HTML page; None without one
    + why: why it could not
    """

    folder: Path
    files: tuple[Path, ...]
    page: Path | None
    why: FailedError | None = None

    @property
    def best(self) -> Path:
        """The file to open first."""
        return self.page or self.folder / TEXT


def write_report(report: Report, folder: Path, with_pictures: bool = True) -> Written:
    """Write a report.

    + folder: made when it does not exist; files of an earlier report in it are replaced
    + with_pictures: also the page and the pictures, which take a few seconds

    Raises :class:`FailedError` (3) when that is not possible. Without the packages that draw
    pictures the rest is written, and ``why`` says which ones to install.
    """
    texts = {SUMMARY: summary_json.dump(report), TABLE: csv_text(report)}
    pictures: list[PictureFile] = []
    why = None
    if with_pictures:
        try:
            texts[PAGE] = render(report)
            pictures = list(picture_files(report))
        except FailedError as error:
            why = error
    shown = [(one.title, one.name) for one in pictures if one.name.endswith(".svg")]
    texts[TEXT] = markdown_text(report, shown)
    files = {name: text.encode("utf-8") for name, text in texts.items()}
    files |= {one.name: one.content for one in pictures}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _replace(folder / name, content)
    except OSError as error:
        raise FailedError(
            Fault.OUTPUT_NOT_WRITABLE,
            f"the report cannot be written: {error.filename or folder}: {error.strerror}",
            next=Do("--output FOLDER, one that can be written to"),
        ) from None
    page = folder / PAGE if PAGE in texts else None
    return Written(folder, tuple(folder / name for name in files), page, why)


def _replace(path: Path, content: bytes) -> None:
    """Write a file at once: a page that is open in a browser is never half a page."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_bytes(content)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
