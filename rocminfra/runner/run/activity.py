"""What runs now, as data: whoever waits for something says so here, and something else shows it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

# A rate is that of the last so many seconds: an average since the start hides a stall.
RATE_WINDOW_S = 30.0


class Activity:
    """One thing that is waited for; ends with :meth:`end`, or as a context manager.

    + what: for people, such as ``Pull rocm/vllm:0.11``
    + host: on which host; empty when on none
    + expected_s: how long it usually takes, None when nobody knows
    """

    def __init__(
        self,
        activities: Activities,
        what: str,
        host: str = "",
        expected_s: float | None = None,
        total_bytes: int | None = None,
    ) -> None:
        self.what = what
        self.host = host
        self.expected_s = expected_s
        self.total_bytes = total_bytes
        self.done_bytes: int | None = None
        self.note = ""
        self._activities = activities
        self.started = activities.clock()
        self._samples: deque[tuple[float, int]] = deque()

    def update(
        self,
        *,
        done_bytes: int | None = None,
        total_bytes: int | None = None,
        note: str | None = None,
        expected_s: float | None = None,
    ) -> None:
        """Say how far it is; what is None stays as it was.

        + done_bytes: of all, such as downloaded bytes
        + note: a few words, such as the last line of a log
        """
        if total_bytes is not None:
            self.total_bytes = total_bytes
        if note is not None:
            self.note = note
        if expected_s is not None:
            self.expected_s = expected_s
        if done_bytes is not None:
            now = self._activities.clock()
            self.done_bytes = done_bytes
            self._samples.append((now, done_bytes))
            while len(self._samples) > 2 and self._samples[1][0] <= now - RATE_WINDOW_S:
                self._samples.popleft()

    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return self._activities.clock() - self.started

    def bytes_per_s(self) -> float | None:
        """Rate over the last :data:`RATE_WINDOW_S`; None before there are two figures."""
        if len(self._samples) < 2:
            return None
        (first, before), (_, now) = self._samples[0], self._samples[-1]
        passed = self._activities.clock() - first
        return (now - before) / passed if passed > 0 else None

    def left_s(self) -> float | None:
        """How long it may still take, by its rate or by what is usual; None when unknown."""
        rate = self.bytes_per_s()
        if rate and self.total_bytes is not None and self.done_bytes is not None:
            return max(0.0, (self.total_bytes - self.done_bytes) / rate)
        if self.expected_s is None:
            return None
        return max(0.0, self.expected_s - self.elapsed_s())

    def end(self) -> None:
        """It is over, well or not; once is enough."""
        self._activities.ended(self)

    def __enter__(self) -> Activity:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


class Activities:
    """All that runs now, in the order in which it began.

    + clock: seconds from any moment on
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.running: list[Activity] = []
        # Called when something begins or ends, by whoever shows them.
        self.on_change: Callable[[], None] = lambda: None

    def begin(
        self,
        what: str,
        host: str = "",
        expected_s: float | None = None,
        total_bytes: int | None = None,
    ) -> Activity:
        """Something begins that may take a while."""
        activity = Activity(self, what, host, expected_s, total_bytes)
        self.running.append(activity)
        self.on_change()
        return activity

    def ended(self, activity: Activity) -> None:
        """Called by :meth:`Activity.end`."""
        if activity in self.running:
            self.running.remove(activity)
            self.on_change()
