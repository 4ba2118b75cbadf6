"""Follow symbolic links inside a root file system."""

from __future__ import annotations

from pathlib import Path

_MOST_LINKS = 16


def link_chain(root: Path, path: Path) -> list[Path]:
    """``path`` and its targets, link by link; the last one is not a link.

    Absolute targets are relative to ``root``. Links in parent folders are followed as well, so
    every path is the real path inside the root. Raises OSError for a circular chain.
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
