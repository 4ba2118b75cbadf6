"""A load generator and an engine on one virtual clock: a benchmark point without the wait.

The client behaves like GuideLLM: streams that send the next request when one has ended, or requests
at a constant rate; unfinished requests are cut off at the end. Standard library only.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import NamedTuple

from rocminfra.planning.engine.core import EngineCore, RunningStep
from rocminfra.planning.prediction.api_server import ApiServer, Piece, Process, Taken
from rocminfra.planning.prediction.workload import Workload


@dataclass(frozen=True)
class Load:
    """The load profile.

    + streams: requests kept in flight, or at most in flight with a rate
    + rate: requests per second; None sends the next one when another has ended
    + is_random: whether the gaps between them are random (Poisson) instead of constant
    + most_requests: requests after which no more are sent, None without a limit
    """

    streams: int
    rate: float | None = None
    is_random: bool = False
    most_requests: int | None = None


@dataclass
class Record:
    """One request; times are seconds on the virtual clock.

    + number: number in the workload
    + sent: when the client sent it
    + prompt_tokens, generated: number of tokens
    + first_token, last_token: when they arrived, or None
    + completed: whether it ended in time
    """

    number: int
    sent: float
    prompt_tokens: int
    generated: int = 0
    first_token: float | None = None
    last_token: float | None = None
    completed: bool = False

    @property
    def ttft_s(self) -> float | None:
        """Seconds until the first token."""
        return None if self.first_token is None else self.first_token - self.sent

    @property
    def latency_s(self) -> float | None:
        """Seconds until the last token of a completed request."""
        if not self.completed or self.last_token is None:
            return None
        return self.last_token - self.sent

    @property
    def itl_s(self) -> float | None:
        """Mean seconds between its tokens."""
        if self.first_token is None or self.last_token is None or self.generated < 2:
            return None
        return (self.last_token - self.first_token) / (self.generated - 1)


class Moment(NamedTuple):
    """The engine's state at the start of a step, valid until the next one.

    + at: seconds on the virtual clock
    + kv_usage: share of the KV blocks in use, 0 to 1
    + running, waiting: sequences
    """

    at: float
    kv_usage: float
    running: int
    waiting: int


# Gaps between tokens are counted in hundredths of a millisecond.
GAP_S = 1e-5


@dataclass
class Trace:
    """Everything that happened in a run of ``seconds``.

    + seconds: how long it may take
    + ended: when the last of a limited number of requests had ended, None when time ran out first
    + gaps: how often which gap between two tokens of a sequence came after the warm-up, in
      :data:`GAP_S`
    """

    seconds: float
    records: list[Record] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    preemptions: int = 0
    steps: int = 0
    ended: float | None = None
    gaps: dict[int, int] = field(default_factory=dict)

    @property
    def length_s(self) -> float:
        """How long it took."""
        return self.seconds if self.ended is None else self.ended


def run(
    core: EngineCore,
    workload: Workload,
    load: Load,
    seconds: float,
    server: ApiServer | None = None,
    *,
    warmup_s: float = 0.0,
    is_scheduled_ahead: bool = False,
) -> Trace:
    """Send ``workload`` for ``seconds`` and record what happens.

    + server: what stands between client and engine; None takes no time
    + warmup_s: gaps between tokens are counted after it
    + is_scheduled_ahead: whether the engine chooses a step while the one before runs
      (``--async-scheduling``, vLLM's default since 0.14): a request that comes meanwhile waits for
      both
    """
    times = ApiServer() if server is None else server
    return _Run(core, workload, load, seconds, times, warmup_s, is_scheduled_ahead).finish()


class _Run:
    def __init__(
        self,
        core: EngineCore,
        workload: Workload,
        load: Load,
        seconds: float,
        server: ApiServer,
        warmup_s: float,
        is_scheduled_ahead: bool,
    ) -> None:
        self._core = core
        self._workload = workload
        self._load = load
        self._process = Process(server)
        self._warmup_s = warmup_s
        self._is_scheduled_ahead = is_scheduled_ahead
        self._trace = Trace(seconds)
        self._sent: dict[str, Record] = {}
        self._finished: set[str] = set()
        # Requests on their way to the scheduler: (when, number).
        self._arrivals: list[tuple[float, int]] = []
        self._previous: RunningStep | None = None
        self._numbers = 0
        self._due = 0.0
        self._last_piece = 0.0
        self._gaps = random.Random(42)

    def finish(self) -> Trace:
        """Run to the end."""
        core, end = self._core, self._trace.seconds
        if self._load.rate is None:
            for _ in range(self._load.streams):
                self._send(0.0)
        while core.now < end:
            self._send_due()
            self._serve()
            self._submit()
            running = core.begin()
            if running is None:
                self._previous = None
                following = self._next_event()
                if following is None or following >= end:
                    break
                core.advance(following)
                continue
            self._note(running)
            self._previous = running
            done = core.finish(running)
            self._serve()
            self._finished.update(done.finished)
            self._process.given(done.tokens, core.now)
        self._serve()
        if self._is_over and not self._sent:
            self._trace.ended = max(core.now, self._last_piece)
        self._trace.preemptions = core.scheduler.preemptions
        return self._trace

    def _submit(self) -> None:
        """Requests that the next step can hold."""
        latest = self._core.now
        if self._is_scheduled_ahead and self._previous is not None:
            latest = self._previous.start
        while self._arrivals and self._arrivals[0][0] <= latest:
            self._core.submit(self._workload.request(heapq.heappop(self._arrivals)[1]))

    def _send_due(self) -> None:
        rate = self._load.rate
        if rate is None or self._is_over:
            return
        while self._due <= self._core.now and len(self._sent) < self._load.streams:
            self._send(self._due)
            self._due += self._gaps.expovariate(rate) if self._load.is_random else 1.0 / rate
            if self._is_over:
                return

    def _next_event(self) -> float | None:
        times = [max(self._arrivals[0][0], self._core.now)] if self._arrivals else []
        if (turn := self._process.next_turn) is not None:
            times.append(turn)
        can_send = len(self._sent) < self._load.streams and not self._is_over
        if self._load.rate is not None and can_send:
            times.append(self._due)
        return min(times, default=None)

    @property
    def _is_over(self) -> bool:
        most = self._load.most_requests
        return most is not None and self._numbers >= most

    def _send(self, at: float) -> None:
        if self._is_over:
            return
        number = self._numbers
        self._numbers += 1
        request = self._workload.request(number)
        record = Record(number, at, request.prompt_tokens)
        self._trace.records.append(record)
        self._sent[request.id] = record
        self._process.sent(at, number, self._workload.pixels(number))

    def _note(self, running: RunningStep) -> None:
        scheduler = self._core.scheduler
        self._trace.steps += 1
        self._trace.moments.append(
            Moment(running.start, scheduler.pool.usage, scheduler.running, scheduler.waiting)
        )

    def _serve(self) -> None:
        """Let the server do what it does until now."""
        for done in self._process.works(self._core.now):
            if isinstance(done, Taken):
                heapq.heappush(self._arrivals, (done.at, done.number))
            elif done.at <= self._trace.seconds:
                self._deliver(done)

    def _deliver(self, piece: Piece) -> None:
        """Let the client have a piece of an answer."""
        record = self._sent[piece.request_id]
        self._last_piece = piece.at
        record.generated += piece.tokens
        if record.last_token is not None and piece.at >= self._warmup_s:
            gap = round((piece.at - record.last_token) / GAP_S)
            self._trace.gaps[gap] = self._trace.gaps.get(gap, 0) + 1
        record.last_token = piece.at
        if record.first_token is None:
            record.first_token = piece.at
        if piece.request_id in self._finished:
            self._finished.discard(piece.request_id)
            self._sent.pop(piece.request_id).completed = True
            if self._load.rate is None:
                self._send(piece.at)
