"""Files that the lab puts into a droplet; none of them is imported here."""

from __future__ import annotations

from importlib.resources import files


def text(name: str) -> str:
    """Text of the file ``name`` of this folder."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
