"""Time as an argument, so that a day of waiting is a test of milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone


@dataclass(frozen=True)
class Clock:
    """Where a wait gets its time from.

    + now: seconds since 1970, UTC
    + sleep: waits for that many seconds
    """

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def iso(seconds: float) -> str:
    """Seconds since 1970 as ``2026-01-31T09:30:00Z``."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text: str) -> float | None:
    """``2026-01-31T09:30:00Z`` as seconds since 1970; None when it is not such a time."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
    return moment.replace(tzinfo=timezone.utc).timestamp()


def lasting(seconds: float) -> str:
    """A duration in words: ``40 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"
