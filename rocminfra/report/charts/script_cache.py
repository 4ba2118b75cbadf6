"""The scripts of a page, kept on this machine: to put them together takes vl-convert two seconds
of a core, and they change only with its version.

They become part of pages that somebody opens in a browser. So a file that another user could have
written, or whose contents are not what its name says, is not used but made again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rocminfra.user_cache import cache_folder, is_only_ours, replace_file


def kept(name: str, make: Callable[[], str]) -> str:
    """A text that is made once.

    + name: what it depends on, such as ``vega-6.4-vl-convert-1.9.0``
    + make: makes it

    A cache that cannot be read or written costs time and nothing else.
    """
    try:
        folder = cache_folder("pages")
        for path in folder.glob(f"{name}.{'?' * 64}.js"):
            text = _read(path)
            if text is not None:
                return text
    except (OSError, RuntimeError):  # a user without a home
        return make()
    text = make()
    content = text.encode()
    with suppress(OSError):
        replace_file(folder / f"{name}.{hashlib.sha256(content).hexdigest()}.js", content)
    return text


def _read(path: Path) -> str | None:
    """The text in a file; None when it may not be used."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            if not is_only_ours(os.fstat(file.fileno())):
                return None
            content = file.read()
        if path.name.split(".")[-2] != hashlib.sha256(content).hexdigest():
            return None
        return content.decode()
    except (OSError, UnicodeDecodeError):
        return None
