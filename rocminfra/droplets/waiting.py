"""Waits with a deadline that are never silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rocminfra.droplets.clock import Clock, lasting

T = TypeVar("T")

PAUSE_S = 4.0
# Nobody should have to wonder whether a command still lives: no wait is silent for ten seconds.
SILENCE_S = 8.0
NEWS_EVERY_S = SILENCE_S - PAUSE_S


class DeadlineError(Exception):
    """A wait took too long; the text is the last that was seen."""


def pause(seconds: float, why: str, clock: Clock, say: Callable[[str], None]) -> None:
    """Sleep, and say why, again and again when it takes long."""
    left = seconds
    while left > 0:
        say(f"{why}; trying again in {lasting(left)}")
        part = min(left, SILENCE_S)
        clock.sleep(part)
        left -= part


def wait_for(
    what: str,
    look: Callable[[], T | str],
    deadline_s: float,
    clock: Clock,
    say: Callable[[str], None],
) -> T:
    """Look again and again until there is something else than words.

    + what: what is waited for, such as ``mi300x-1: an address``
    + look: returns the thing, or in words why it is not there yet

    Raises :class:`DeadlineError`.
    """
    started = clock.now()
    told: float | None = None
    words = ""
    while True:
        found = look()
        if not isinstance(found, str):
            return found
        elapsed = clock.now() - started
        if elapsed >= deadline_s:
            raise DeadlineError(found)
        if told is None or found != words or clock.now() - told >= NEWS_EVERY_S:
            told, words = clock.now(), found
            say(f"{what}: {found} ({lasting(elapsed)} of {lasting(deadline_s)})")
        clock.sleep(min(PAUSE_S, deadline_s - elapsed))
