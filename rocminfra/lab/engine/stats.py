"""vLLM's statistics line, every ten seconds while there is activity."""

from __future__ import annotations

import asyncio
import time

from rocminfra.lab.engine.engine_loop import EngineLoop
from rocminfra.lab.engine.logs import EngineLog


class StatsLog:
    """Logs the engine's load.

    + engine: which one
    + log: where
    + interval: real seconds between two lines
    """

    def __init__(self, engine: EngineLoop, log: EngineLog, interval: float) -> None:
        self._engine = engine
        self._log = log
        self._interval = interval
        self._since = time.monotonic()
        self._prompt = 0
        self._generation = 0
        self._preemptions = 0
        self._was_busy = False

    async def run(self) -> None:
        """Log until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            self.say()

    def say(self) -> None:
        """Log one line for the time since the last one; none on an idle engine, as in vLLM."""
        now = time.monotonic()
        elapsed = max(now - self._since, 1e-9)
        engine = self._engine
        scheduler = engine.core.scheduler
        prompt = (engine.prompt_tokens - self._prompt) / elapsed
        generation = (engine.generation_tokens - self._generation) / elapsed
        preempted = scheduler.preemptions - self._preemptions
        self._since = now
        self._prompt = engine.prompt_tokens
        self._generation = engine.generation_tokens
        self._preemptions = scheduler.preemptions
        is_busy = bool(prompt or generation)
        if is_busy or self._was_busy:
            preemptions = f"Preemptions: {preempted}, " if preempted else ""
            self._log.api(
                "loggers.py:259",
                f"Engine 000: Avg prompt throughput: {prompt:.1f} tokens/s, "
                f"Avg generation throughput: {generation:.1f} tokens/s, "
                f"Running: {scheduler.running} reqs, Waiting: {scheduler.waiting} reqs, "
                f"{preemptions}GPU KV cache usage: {scheduler.pool.usage * 100:.1f}%, "
                "Prefix cache hit rate: 0.0%",
            )
        self._was_busy = is_busy
