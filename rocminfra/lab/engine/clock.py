"""The clock that paces the engine: scaled real time, or a clock that a test advances."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """A clock in modelled GPU seconds."""

    scale: float

    def now(self) -> float:
        """Modelled seconds since the engine started."""
        ...

    async def sleep_until(self, at: float) -> None:
        """Return when :meth:`now` has reached ``at``."""
        ...


class ScaledClock:
    """Real time, ``scale`` times as fast."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self._start = time.monotonic()

    def now(self) -> float:
        """Modelled seconds since the clock was created."""
        return (time.monotonic() - self._start) * self.scale

    async def sleep_until(self, at: float) -> None:
        """Sleep for the real time remaining until ``at``."""
        await asyncio.sleep(max(0.0, (at - self.now()) / self.scale))


class InstantClock:
    """A clock that never waits: sleeping advances it."""

    def __init__(self) -> None:
        self.scale = 1.0
        self._now = 0.0

    def now(self) -> float:
        """Modelled seconds."""
        return self._now

    async def sleep_until(self, at: float) -> None:
        """Advance the clock to ``at``, and let other tasks run once."""
        self._now = max(self._now, at)
        await asyncio.sleep(0)
