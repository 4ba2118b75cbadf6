"""Ctrl-C, SIGTERM and a closed terminal: an exception where one may be raised, and a note where a
paid droplet's fate is not settled yet."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Raised in the main thread when a signal came.

    + number: the signal
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


class Interrupts:
    """Signals while this context is entered: the first raises :class:`Interrupted`, where that is
    allowed; what comes after it is only noted, because the command is ending.

    + say: told that a signal was heard and waits
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._held = 0
        self._waiting: int | None = None
        self._raised = False
        self._doing = ""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in SIGNALS:
            # `nohup` set it aside on purpose.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @contextmanager
    def held(self, doing: str) -> Iterator[None]:
        """No exception in here; one is raised at the end when a signal came meanwhile.

        + doing: what must not be interrupted, for the message
        """
        self._held += 1
        before, self._doing = self._doing, doing
        try:
            yield
        finally:
            self._held -= 1
            self._doing = before
        self._raise_waiting()

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Within :meth:`held` or :meth:`ignored`: here an exception may be raised after all."""
        before, self._held = self._held, 0
        try:
            self._raise_waiting()
            yield
        finally:
            self._held = before

    @contextmanager
    def ignored(self, doing: str) -> Iterator[None]:
        """As :meth:`held`, and what came is dropped: the command is ending anyway."""
        self._held += 1
        before, self._doing = self._doing, doing
        try:
            yield
        finally:
            self._held -= 1
            self._doing = before
            if not self._held:
                self._waiting = None

    def _raise_waiting(self) -> None:
        if not self._held and not self._raised and self._waiting is not None:
            number, self._waiting = self._waiting, None
            self._raised = True
            raise Interrupted(number)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if not self._held and not self._raised:
            self._raised = True
            raise Interrupted(number)
        self._waiting = number
        self._say(f"{signal.Signals(number).name}: first {self._doing or 'the end of this'}")
