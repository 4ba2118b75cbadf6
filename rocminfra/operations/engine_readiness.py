"""Waiting for an engine, and what is said when it does not serve."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from pyinfra import logger
from pyinfra.api.host import Host

from rocminfra.facts.engine import EngineReadiness, EngineStatus
from rocminfra.failure import Argument, Do, Failure, Fault
from rocminfra.operations.progress import is_heard, tell

# One question waits at most this long on the host, so that a lost connection is noticed.
WAIT_SLICE_S = 9

# Unit, container, port and model of an engine: what EngineReadiness takes.
Question = Mapping[str, str | int]


@dataclass(frozen=True)
class Waited:
    """How a wait ended.

    + status: what was seen last
    + elapsed_s: how long it took
    """

    status: EngineStatus
    elapsed_s: float


def wait(host: Host, question: Question, timeout_s: int) -> Waited:
    """Wait until the engine serves, is dead, or the time is over; says how far it is.

    + timeout_s: deadline in seconds
    """
    started = time.monotonic()
    while True:
        left = timeout_s - (time.monotonic() - started)
        wait_s = max(0, min(WAIT_SLICE_S, int(left)))
        status = host.get_fact(EngineReadiness, **question, wait_s=wait_s)
        elapsed = time.monotonic() - started
        if status.state != "loading" or elapsed >= timeout_s:
            return Waited(status, elapsed)
        last = status.log[-1] if status.log else status.reason
        if is_heard(host):
            tell(host, note=f"gives up after {timeout_s} s; last words: {last}")
        else:
            host.log(f"still loading {elapsed:.0f} s of {timeout_s} s: {last}", logger.info)


def not_ready(question: Question, waited: Waited, timeout_s: int) -> Failure:
    """That the engine does not serve, with its last words."""
    status = waited.status
    what = f"{question['unit']} does not serve {question['model']}: {status.reason}"
    if status.state == "loading":
        what = f"{what} (gave up after {waited.elapsed_s:.0f} s of {timeout_s} s)"
    return Failure(
        Fault.ENGINE_NOT_READY,
        what,
        status.log,
        Do(
            f"on the host: journalctl -u {question['unit']}; where it only needs longer, raise ",
            Argument("engine", "timeout_s"),
        ),
    )
