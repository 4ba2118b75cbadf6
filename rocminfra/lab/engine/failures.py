"""Which requests fail on purpose."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from rocminfra.lab.engine.simulation import FailureMode, Simulation


class Verdict(Enum):
    """The fate of a request."""

    SERVE = "serve"
    ERROR = "error"
    HANG = "hang"


class RequestFailures:
    """Decides for each request in turn; deterministic for a given mode.

    + simulation: mode and amount
    + die: called when the engine must die
    """

    def __init__(self, simulation: Simulation, die: Callable[[], None]) -> None:
        self._mode = simulation.failure
        self._amount = simulation.failure_amount
        self._after = simulation.fail_after
        self._die = die
        self._requests = 0
        self._owed = 0.0

    def next_request(self) -> Verdict:
        """The fate of the next request."""
        self._requests += 1
        if self._requests <= self._after:
            return Verdict.SERVE
        if self._mode is FailureMode.HUNG:
            return Verdict.HANG
        if self._mode is FailureMode.ERRORS:
            self._owed += self._amount
            if self._owed >= 1:
                self._owed -= 1
                return Verdict.ERROR
        if self._mode is FailureMode.DIES_MID_RUN and self._requests >= self._amount:
            self._die()
        return Verdict.SERVE
