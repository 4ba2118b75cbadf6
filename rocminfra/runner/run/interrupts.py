"""Ctrl-C and SIGTERM under gevent, and questions that they can end.

Python's own handler raises in whatever greenlet is at work, which ends in a traceback on the
screen and a run that goes on. gevent's handler runs in its loop and raises in the main greenlet.
"""

from __future__ import annotations

import select
import signal
import sys

import gevent

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def watch() -> None:
    """Raise KeyboardInterrupt in the greenlet that calls this, when a signal comes."""
    main = gevent.getcurrent()
    for number in SIGNALS:
        gevent.signal_handler(number, gevent.kill, main, KeyboardInterrupt)


def ask(question: str) -> bool:
    """Ask on the terminal; anything but yes is no.

    It waits in gevent's loop: ``input()`` would keep the loop from seeing a signal.
    """
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    select.select([sys.stdin], [], [])
    return sys.stdin.readline().strip().lower() in ("y", "yes")
