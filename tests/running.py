"""Which processes run on this machine, and what they have written."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path


def runs(text: str) -> bool:
    """Whether a process other than this one has ``text`` in its command line."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = file.read_bytes().replace(b"\0", b" ")
            if text.encode() in line and file.parent.name != str(os.getpid()):
                return True
    return False


def wait_until_written(path: Path, timeout_s: float = 20.0) -> None:
    """Wait for the first text in a file that a thread or process writes."""
    deadline = time.monotonic() + timeout_s
    while not path.exists() or not path.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline, f"nothing was written to {path} in {timeout_s:g} s"
        time.sleep(0.01)
