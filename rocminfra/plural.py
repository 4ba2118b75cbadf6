"""A number and its noun."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """``1 point``, ``2 points``, ``1,024 files``.

    + count: how many
    + noun: singular, whose plural ends in ``s``
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
