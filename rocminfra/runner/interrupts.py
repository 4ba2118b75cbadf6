"""Ctrl-C and SIGTERM under gevent.

Python's own handler raises in whatever greenlet is at work, which ends in a traceback on the
screen and a run that goes on. gevent's handler runs in its loop and raises in the main greenlet.
While a person is asked something no loop runs, and Python's own handler is the right one.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_watchers: list[Any] = []


def watch() -> None:
    """Raise KeyboardInterrupt in the greenlet that calls this, when a signal comes."""
    main = gevent.getcurrent()
    _watchers[:] = [
        gevent.signal_handler(number, gevent.kill, main, KeyboardInterrupt) for number in SIGNALS
    ]


@contextmanager
def asking() -> Iterator[None]:
    """Let a signal end a blocking question at once."""
    for watcher in _watchers:
        watcher.cancel()
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        watch()
