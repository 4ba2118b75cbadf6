"""The page over all runs, as a file among them."""

from __future__ import annotations

from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.report.history import History
from rocminfra.report.page.html import render_index

NAME = "index.html"


def write_index(history: History) -> Path:
    """Write the page over all runs into their folder; an earlier one is replaced at once.

    Raises :class:`FailedError` (3) when that is not possible, or without the packages that draw.
    """
    path = Path(history.folder) / NAME
    new = path.with_name(f".{NAME}.new")
    content = render_index(history)
    try:
        new.write_text(content, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise FailedError(
            Fault.OUTPUT_NOT_WRITABLE,
            f"the index cannot be written: {error.filename or path}: {error.strerror}",
            next=Do("rocminfra report index FOLDER, one that can be written to"),
        ) from None
    return path
