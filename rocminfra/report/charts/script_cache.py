"""The scripts of a page, kept on this machine: to put them together takes vl-convert two seconds
of a core, and they change only with its version.

They become part of pages that somebody opens in a browser. So a file that another user could have
written, or whose contents are not what its name says, is not used but made again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def kept(name: str, make: Callable[[], str]) -> str:
    """A text that is made once.

    + name: what it depends on, such as ``vega-6.4-vl-convert-1.9.0``
    + make: makes it

    A cache that cannot be read or written costs time and nothing else.
    """
    try:
        folder = _folder()
        for path in folder.glob(f"{name}.{'?' * 64}.js"):
            text = _read(path)
            if text is not None:
                return text
    except (OSError, RuntimeError):  # a user without a home
        return make()
    text = make()
    with suppress(OSError):
        _write(folder, name, text.encode())
    return text


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache) if cache.startswith("/") else Path.home() / ".cache"
    return base / "rocminfra" / "pages"


def _read(path: Path) -> str | None:
    """The text in a file; None when it may not be used."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            about = os.fstat(file.fileno())
            others = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or others:
                return None
            content = file.read()
        if path.name.split(".")[-2] != hashlib.sha256(content).hexdigest():
            return None
        return content.decode()
    except (OSError, UnicodeDecodeError):
        return None


def _write(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, new = tempfile.mkstemp(dir=folder, prefix=".new-")
    try:
        with open(handle, "wb") as file:
            file.write(content)
        os.replace(new, folder / f"{name}.{hashlib.sha256(content).hexdigest()}.js")
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise
