"""A report as files: the page, ``summary.json``, CSV, and Markdown with its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.report import summary_json
from rocminfra.report.summary import Report
from rocminfra.report.tables import csv_text, markdown_text

SUMMARY, TABLE, TEXT = "summary.json", "points.csv", "report.md"


@dataclass(frozen=True)
class Written:
    """What was written.

    + page: the HTML page; None when it could not be drawn
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


def write_report(report: Report, folder: Path) -> Written:
    """Write a report.

    + folder: made when it does not exist; files of an earlier report in it are replaced

    Raises :class:`FailedError` (3) when that is not possible. Without the packages that draw
    pictures the rest is written, and ``why`` says which ones to install.
    """
    files = {SUMMARY: summary_json.dump(report), TABLE: csv_text(report)}
    files[TEXT] = markdown_text(report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            _replace(folder / name, text)
    except OSError as error:
        raise FailedError(
            Fault.OUTPUT_NOT_WRITABLE,
            f"the report cannot be written: {error.filename or folder}: {error.strerror}",
            next=Do("--output FOLDER, one that can be written to"),
        ) from None
    return Written(folder, tuple(folder / name for name in files), None)


def _replace(path: Path, text: str) -> None:
    """Write a file at once: a page that is open in a browser is never half a page."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
