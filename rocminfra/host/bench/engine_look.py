"""Looks at the engine's ``/metrics`` before and after an attempt.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rocminfra.host.bench import hang_watch
from rocminfra.host.bench.telemetry import engine_sample, fetch


def wait_until_idle(
    url: str, deadline_s: float, pause_s: float = 1.0, clock: Callable[[], float] = time.monotonic
) -> str | None:
    """Wait until the engine is idle. Returns None, or why the engine cannot be measured.

    + url: address of its ``/metrics``
    + deadline_s: most seconds to wait
    + pause_s: seconds between checks
    + clock: monotonic seconds
    """
    end = clock() + deadline_s
    while True:
        try:
            sample = engine_sample(fetch(url))
        except OSError as error:
            what = f"does not answer: {error}"
        else:
            if hang_watch.is_idle(sample):
                return None
            counts = f"{sample.get('running', 0):g} running, {sample.get('waiting', 0):g} waiting"
            what = f"still has requests: {counts}"
        if clock() >= end:
            return f"{deadline_s:g} s after the attempt the engine {what}"
        time.sleep(pause_s)


def snapshot(url: str, path: Path) -> dict[str, float] | None:
    """The engine's counters now, with the page in a file; None when it does not answer.

    + url: address of its ``/metrics``
    + path: the file
    """
    try:
        page = fetch(url)
    except OSError:
        return None
    path.write_text(page, encoding="utf-8")
    return engine_sample(page)


def settled(url: str, path: Path, most_s: float) -> dict[str, float] | None:
    """The engine's counters once it has dropped what the point before cut off, or after ``most_s``.

    + url: address of its ``/metrics``
    + path: file for the page
    + most_s: seconds to wait
    """
    deadline = time.monotonic() + most_s
    while True:
        sample = snapshot(url, path)
        left = 0.0 if sample is None else sample.get("running", 0.0) + sample.get("waiting", 0.0)
        if not left or time.monotonic() >= deadline:
            return sample
        time.sleep(0.2)
