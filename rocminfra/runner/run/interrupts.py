"""Ctrl-C and SIGTERM under gevent, and prompts that they can interrupt.

Python's own handler raises in whichever greenlet is running, which prints a traceback while the run
continues. gevent's handler runs in its loop and raises in the main greenlet.
"""

from __future__ import annotations

import select
import signal
import sys

import gevent

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def watch() -> None:
    """Raise KeyboardInterrupt in the calling greenlet when a signal arrives."""
    main = gevent.getcurrent()
    for number in SIGNALS:
        gevent.signal_handler(number, gevent.kill, main, KeyboardInterrupt)


def ask(question: str) -> bool:
    """Ask on the terminal; any answer other than yes means no.

    It waits in gevent's loop: ``input()`` would block the loop and its signals.
    """
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    select.select([sys.stdin], [], [])
    return sys.stdin.readline().strip().lower() in ("y", "yes")
