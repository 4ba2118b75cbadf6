"""The clock that paces the engine: the real one, scaled, or one that a test turns by hand."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds of the modelled GPU."""

    scale: float

    def now(self) -> float:
        """Modelled seconds since the engine began."""
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
        """Modelled seconds since the clock was made."""
        return (time.monotonic() - self._start) * self.scale

    async def sleep_until(self, at: float) -> None:
        """Sleep the real time that is left until ``at``."""
        await asyncio.sleep(max(0.0, (at - self.now()) / self.scale))


class InstantClock:
    """A clock that waits for nobody: sleeping turns it forward."""

    def __init__(self) -> None:
        self.scale = 1.0
        self._now = 0.0

    def now(self) -> float:
        """Modelled seconds."""
        return self._now

    async def sleep_until(self, at: float) -> None:
        """Turn the clock to ``at``, and let others run once."""
        self._now = max(self._now, at)
        await asyncio.sleep(0)
