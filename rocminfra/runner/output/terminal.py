"""Lines for people: colours where they are wanted, and the width that tables have to fit.

Rich is imported by what needs it: a run in which nothing changes prints a few lines and should not
wait for it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from rich.console import Console

# Without a terminal nothing is folded: a line of a table stays a line for grep.
UNLIMITED = 10_000
# What shows live progress on the terminal at the moment; lines go above it.
_live: list[Console] = []


def has_colours(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal that wants colours (``NO_COLOR``, ``TERM=dumb``)."""
    dumb = os.environ.get("TERM") == "dumb"
    return stream.isatty() and not os.environ.get("NO_COLOR") and not dumb


def styled(text: str, style: str, stream: TextIO) -> str:
    """``text`` in a colour, or bold, where ``stream`` has colours."""
    if not has_colours(stream):
        return text
    return click.style(text, bold=True) if style == "bold" else click.style(text, fg=style)


def message(text: str, style: str | None = None) -> None:
    """A line on stderr; a terminal that was closed meanwhile ends nothing."""
    line = styled(text, style, sys.stderr) if style else text
    with contextlib.suppress(BrokenPipeError):
        if _live:
            from rich.text import Text

            _live[-1].print(Text.from_ansi(line), soft_wrap=True)
        else:
            print(line, file=sys.stderr, flush=True)


def width() -> int:
    """Columns that a table on stdout may take.

    Those of the terminal or of ``COLUMNS``; :data:`UNLIMITED` without either.
    """
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return max(shutil.get_terminal_size().columns, 20)
    return UNLIMITED


def stderr_console() -> Console:
    """Rich's console on stderr; plain without a terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def show_above(console: Console) -> None:
    """Have lines appear above what ``console`` shows live, until :func:`show_plainly`."""
    _live.append(console)


def show_plainly() -> None:
    """Live progress is off the terminal again."""
    _live.clear()


def duration(seconds: float) -> str:
    """Seconds as people say them: 4.2 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def sized(count: float) -> str:
    """Bytes as registries and hubs say them, in powers of ten: 22.1 GB."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
