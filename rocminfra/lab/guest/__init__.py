"""Files that the lab copies into a droplet; none of them is imported here."""

from __future__ import annotations

from importlib.resources import files


def text(name: str) -> str:
    """Text of the file ``name`` in this folder."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
