"""Symbolic links of a root file system, followed inside of it."""

from __future__ import annotations

from pathlib import Path

_MOST_LINKS = 16


def link_chain(root: Path, path: Path) -> list[Path]:
    """``path`` and what it points to, link by link; the last one is no link.

    Absolute targets count from ``root``. Folders on the way are followed as well, so every path
    is the one under which the root really has it. Raises OSError for a chain without an end.
    """
    chain: list[Path] = []
    while True:
        if len(chain) > _MOST_LINKS:
            raise OSError(f"too many levels of symbolic links: {path}")
        path = path.parent.resolve() / path.name
        chain.append(path)
        if not path.is_symlink():
            return chain
        target = path.readlink()
        path = root / str(target).lstrip("/") if target.is_absolute() else path.parent / target
