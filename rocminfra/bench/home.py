"""The results folder on the operator's machine, looked at before anything is measured."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from rocminfra.planning.bench_start import Home


def look_at_home(results_dir: str, run: str) -> Home:
    """Whether results can be written, how much room there is, and whether a run is there.

    + results_dir: folder of all runs; need not exist
    + run: id of the run

    Leaves nothing behind: it writes a file without a name, or one that is gone again at once.
    """
    folder = Path(results_dir)
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return Home(results_dir, f"{there} is not a folder")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        found = os.statvfs(there)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return Home(results_dir, free_bytes=0)
        return Home(results_dir, f"{there}: {error.strerror}")
    return Home(results_dir, None, found.f_bavail * found.f_frsize, (folder / run).exists())
