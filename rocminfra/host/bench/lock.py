"""One benchmark at a time on a host: two would distort each other's results.

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
    """Another benchmark is running on this host.

    + holder: its run's id
    """

    def __init__(self, holder: str) -> None:
        super().__init__(f"benchmark {holder} is already running here")
        self.holder = holder


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the locks of a run and of its host. The kernel releases both when this process ends.

    + folder: the run's folder, inside the folder of all runs

    Raises :class:`Busy`, which names the run that holds them.
    """
    with (folder / LOCK).open("a+") as own, (folder.parent / LOCK).open("a+") as shared:
        for lock in (shared, own):
            if not _acquire(lock):
                lock.seek(0)
                raise Busy(lock.read().strip() or folder.name)
        shared.truncate(0)
        shared.write(folder.name)
        shared.flush()
        yield


def is_held(path: Path) -> bool:
    """Whether any process holds the lock file at ``path``."""
    try:
        with path.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _acquire(lock: IO[str]) -> bool:
    # A status query holds it for a moment, to see whether it is taken.
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_PAUSE_S)
        else:
            return True
    return False
