"""Run the modelled engine at the clock's pace and deliver its tokens to the clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from rocminfra.lab.engine.clock import Clock
from rocminfra.lab.engine.metrics import EngineMetrics
from rocminfra.planning.engine.core import EngineCore, RunningStep
from rocminfra.planning.engine.request import Request

# Steps that end within this much real time are not slept for one by one: timers are too coarse.
_QUANTUM_S = 0.001
# If the engine is further behind than this in real time, it stops catching up: the machine is too
# slow.
_MOST_LAG_S = 0.25

# Called with the number of new tokens and the finish reason ("stop", "length", "abort"), or None
# while the request continues.
TokenSink = Callable[[int, str | None], None]


@dataclass
class _Active:
    """An active request, with its times on the modelled clock."""

    request: Request
    sink: TokenSink
    finish_reason: str
    arrived: float
    scheduled: float | None = None
    first_token: float | None = None
    last_token: float = 0.0
    generated: int = 0
    unsent: int = 0


class EngineLoop:
    """The modelled engine under a clock.

    + core: scheduler and latency
    + clock: clock that paces it
    + metrics: metrics that it updates
    """

    def __init__(self, core: EngineCore, clock: Clock, metrics: EngineMetrics) -> None:
        self.core = core
        self._clock = clock
        self._metrics = metrics
        self._active: dict[str, _Active] = {}
        self._unsent: list[_Active] = []
        self._arrived = asyncio.Event()
        self.prompt_tokens = 0
        self.generation_tokens = 0

    @property
    def in_flight(self) -> int:
        """Requests that have not ended."""
        return len(self._active)

    def submit(self, request: Request, finish_reason: str, sink: TokenSink) -> None:
        """Queue ``request``. Raises ValueError if it can never be served.

        + finish_reason: why it will end, ``stop`` or ``length``
        + sink: receives its tokens
        """
        self.core.submit(request)
        self._active[request.id] = _Active(request, sink, finish_reason, self._clock.now())
        self._metrics.waiting.set(self.core.scheduler.waiting)
        self._arrived.set()

    def abort(self, request_id: str) -> None:
        """Drop a request whose client has disconnected, or that the server aborts."""
        active = self._active.pop(request_id, None)
        if active is None:
            return
        self.core.scheduler.abort(request_id)
        self._metrics.request_success.add(1, "abort")
        self._show_state()
        active.unsent = 0
        active.sink(0, "abort")

    def abort_all(self) -> None:
        """Drop everything."""
        for request_id in list(self._active):
            self.abort(request_id)

    async def run(self) -> None:
        """Serve until cancelled."""
        last_yield = self._clock.now()
        quantum = _QUANTUM_S * self._clock.scale
        most_lag = _MOST_LAG_S * self._clock.scale
        while True:
            now = self._clock.now()
            if now - self.core.now > most_lag:
                self.core.advance(now)
            running = self.core.begin()
            if running is None:
                await self._idle()
                continue
            self._note_start(running)
            if running.end - self._clock.now() > quantum:
                self._flush()
                await self._clock.sleep_until(running.end)
                last_yield = self._clock.now()
            elif self._clock.now() - last_yield > quantum:
                self._flush()
                await asyncio.sleep(0)
                last_yield = self._clock.now()
            self._finish(running)

    async def _idle(self) -> None:
        self._flush()
        self._show_state()
        self._arrived.clear()
        await self._arrived.wait()
        self.core.advance(self._clock.now())

    def _note_start(self, running: RunningStep) -> None:
        metrics = self._metrics
        for request_id in running.step.admitted:
            active = self._active[request_id]
            metrics.prefix_queries.add(active.request.prompt_tokens)
            if active.scheduled is None:
                active.scheduled = running.start
                metrics.mm_queries.add(len(active.request.images))
        metrics.preemptions.add(len(running.step.preempted))
        metrics.iteration_tokens.observe(running.step.tokens)
        self._show_state()

    def _finish(self, running: RunningStep) -> None:
        done = self.core.finish(running)
        at = self.core.now
        scale = self._clock.scale
        for request_id in done.tokens:
            active = self._active[request_id]
            active.generated += 1
            if active.first_token is None:
                self._first_token(active, at)
            else:
                self._metrics.itl.observe((at - active.last_token) / scale)
            active.last_token = at
            if active.unsent == 0:
                self._unsent.append(active)
            active.unsent += 1
        self.generation_tokens += len(done.tokens)
        self._metrics.generation_tokens.add(len(done.tokens))
        for request_id in done.finished:
            self._end(self._active.pop(request_id), at)

    def _first_token(self, active: _Active, at: float) -> None:
        active.first_token = at
        prompt = active.request.prompt_tokens
        self.prompt_tokens += prompt
        self._metrics.prompt_tokens.add(prompt)
        self._metrics.prompt_tokens_by_source.add(prompt, "local_compute")
        self._metrics.ttft.observe(max(0.0, at - active.arrived) / self._clock.scale)

    def _end(self, active: _Active, at: float) -> None:
        unsent, active.unsent = active.unsent, 0
        active.sink(unsent, active.finish_reason)
        metrics = self._metrics
        scale = self._clock.scale
        scheduled = active.arrived if active.scheduled is None else active.scheduled
        first = at if active.first_token is None else active.first_token
        metrics.request_success.add(1, active.finish_reason)
        metrics.e2e.observe(max(0.0, at - active.arrived) / scale)
        metrics.queue_time.observe(max(0.0, scheduled - active.arrived) / scale)
        metrics.inference_time.observe((at - scheduled) / scale)
        metrics.prefill_time.observe((first - scheduled) / scale)
        metrics.decode_time.observe((at - first) / scale)
        if active.generated > 1:
            metrics.tpot.observe((at - first) / scale / (active.generated - 1))
        metrics.request_prompt_tokens.observe(active.request.prompt_tokens)
        metrics.request_prefill_computed.observe(active.request.prompt_tokens)
        metrics.request_generation_tokens.observe(active.generated)
        metrics.request_max_generation_tokens.observe(active.request.output_tokens)
        metrics.request_n.observe(1)

    def _flush(self) -> None:
        """Deliver the tokens of finished steps."""
        unsent, self._unsent = self._unsent, []
        for active in unsent:
            if active.unsent:
                count, active.unsent = active.unsent, 0
                active.sink(count, None)

    def _show_state(self) -> None:
        scheduler = self.core.scheduler
        self._metrics.running.set(scheduler.running)
        self._metrics.waiting.set(scheduler.waiting)
        self._metrics.waiting_by_reason.set(scheduler.waiting, "capacity")
        self._metrics.kv_usage.set(scheduler.pool.usage)
