"""The ``rocminfra`` command in a process of its own, as tests call it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
MAIN = "from rocminfra.runner.cli import main; main()"
FILE = 'from pyinfra.operations import files\nfiles.file(name="a file", path="out", present=True)\n'


def environment(**environ: str) -> dict[str, str]:
    """This process's environment without settings of rocminfra's, and ``environ``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROCMINFRA_")}
    return {**clean, "PYTHONPATH": str(ROOT), **environ}


def under_way(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, as far as its playbook has made the file ``started``."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not (folder / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (folder / "started").exists()
    return process
