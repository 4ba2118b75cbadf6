"""What is kept in the user's cache folder to save time, and must not be somebody else's text."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def cache_folder(name: str) -> Path:
    """``rocminfra/NAME`` in the user's cache folder (``XDG_CACHE_HOME``).

    Raises RuntimeError for a user without a home.
    """
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache) if cache.startswith("/") else Path.home() / ".cache"
    return base / "rocminfra" / name


def is_only_ours(about: os.stat_result) -> bool:
    """Whether it is a plain file that nobody but this user and root can write.

    + about: of the open file
    """
    private = not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid() and private


def replace_file(path: Path, content: bytes) -> None:
    """Write a file as a whole, for this user alone; a folder that is not there is made so.

    Raises OSError, and leaves nothing half-written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, new = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with open(handle, "wb") as file:
            file.write(content)
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise
