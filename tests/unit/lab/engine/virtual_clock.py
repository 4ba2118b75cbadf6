"""A clock for several tasks: when all of them wait, it moves to the earliest time waited for."""

from __future__ import annotations

import asyncio
import heapq
import itertools

# Rounds of the loop after which everything that could run has run.
_ROUNDS = 12


class VirtualClock:
    """Modelled seconds; :meth:`drive` has to run beside the tasks that sleep on it."""

    scale = 1.0

    def __init__(self) -> None:
        self._now = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    async def sleep_until(self, at: float) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (at, next(self._order), waiting))
        await waiting

    async def drive(self) -> None:
        while True:
            for _ in range(_ROUNDS):
                await asyncio.sleep(0)
            if self._sleepers:
                at, _, waiting = heapq.heappop(self._sleepers)
                self._now = max(self._now, at)
                waiting.set_result(None)
