"""The runner's verbs on one droplet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab_host import LabHost

ROOT = Path(__file__).parents[2]


def rocminfra(host: LabHost, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rocminfra", verb, "-i", "inventory/lab.py", *words]
    return subprocess.run(
        [*command, "--limit", host.name],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
    )


def apply(host: LabHost, *words: str) -> subprocess.CompletedProcess[str]:
    return rocminfra(host, "apply", "-y", *words)
