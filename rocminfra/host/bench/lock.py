"""One benchmark at a time on a host: two would measure each other.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rocminfra.host.bench.files import LOCK

_ATTEMPTS = 20
_PAUSE_S = 0.05


class Busy(Exception):
    """Another benchmark runs on this host."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of a run and that of its host; the kernel lets go of both when we die.

    + folder: the run's folder, below the folder of all runs

    Raises :class:`Busy`, which names the run that holds them.
    """
    with (folder / LOCK).open("a+") as own, (folder.parent / LOCK).open("a+") as shared:
        for lock in (shared, own):
            if not _acquire(lock):
                lock.seek(0)
                raise Busy(f"benchmark {lock.read().strip() or folder.name} runs here already")
        shared.truncate(0)
        shared.write(folder.name)
        shared.flush()
        yield


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock that the file at ``path`` is."""
    try:
        with path.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _acquire(lock: IO[str]) -> bool:
    # Whoever asks for the status holds it for a moment, to see whether anybody else does.
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_PAUSE_S)
        else:
            return True
    return False
