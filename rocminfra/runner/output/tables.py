"""Tables that fit the terminal: cells wrap at words, and columns that do not fit move below."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rocminfra.runner.output.terminal import width

_GAP = 2
# A word longer than this is broken; nothing else could make a path fit beside other columns.
_LONGEST_WORD = 24


def table_lines(
    rows: Iterable[Sequence[str]], columns: int | None = None, indent: int = 0
) -> list[str]:
    """Rows with their columns below each other, as plain lines.

    + rows: all of one length; a heading is just the first one
    + columns: that the table may take; None for those of the terminal (no limit without one)
    + indent: spaces before every line

    A table that is too wide is folded: cells wrap at words, and when even words do not fit, the
    columns on the right move below those on the left, with the first column repeated.
    """
    table = [tuple(row) for row in rows]
    if not table or not table[0]:
        return []
    room = (width() if columns is None else columns) - indent
    lines: list[str] = []
    for number, group in enumerate(_groups(table, room)):
        if number:
            lines.append("")
        part = [tuple(row[column] for column in group) for row in table]
        lines += _rendered(part, room)
    return [f"{' ' * indent}{line}" if line else line for line in lines]


def _groups(table: Sequence[Sequence[str]], room: int) -> list[list[int]]:
    """Columns that stand beside each other; all in one group when they fit."""
    least = [
        max(min(_longest_word(row[column]), _LONGEST_WORD) for row in table)
        for column in range(len(table[0]))
    ]
    groups: list[list[int]] = [[0]]
    used = least[0]
    for column in range(1, len(least)):
        if used + _GAP + least[column] > room and len(groups[-1]) > 1:
            groups.append([0])
            used = least[0]
        groups[-1].append(column)
        used += _GAP + least[column]
    return groups


def _longest_word(text: str) -> int:
    return max((len(word) for word in text.split()), default=0)


def _rendered(rows: Sequence[Sequence[str]], room: int) -> list[str]:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    for _ in rows[0]:
        table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out = io.StringIO()
    Console(file=out, width=room, color_system=None, legacy_windows=False).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]
