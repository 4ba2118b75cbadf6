"""One gate before the first operation: a machine that has just booted is waited for, in the open.

.. code:: python

    from rocminfra.operations import fresh_host

    fresh_host.gate()
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pyinfra import host, state

from rocminfra.facts.fresh_host import FreshHost
from rocminfra.failure import Failure
from rocminfra.operations.host_failures import exclude
from rocminfra.planning.engine_command import CONFIG_LABEL
from rocminfra.planning.fresh_host import Ready, judge

_KEY = "rocminfra.fresh_host"
# The answer of cloud-init and apt changes in seconds; nobody should wonder for longer than this.
PAUSE_S = 5.0


@dataclass(frozen=True)
class Time:
    """Where the wait gets its time from; a test passes its own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def gate(engine: str = "", port: int = 8000, clock: Time | None = None) -> None:
    """Wait until the host is through its first minutes, or take it out of the run.

    + engine: name of the engine's container, which belongs here
    + port: port that the engine serves on

    For a task's top level, before any operation. It reads only, and a dry run waits too: what that
    said about a half-booted machine would be wrong. Done once a run.
    """
    failure = settle(engine, port, clock)
    if failure is not None:
        exclude(state, host, failure)


def settle(engine: str = "", port: int = 8000, clock: Time | None = None) -> Failure | None:
    """As :func:`gate`, for an operation: why the host cannot be worked on, or None."""
    if host.connector_data.get(_KEY):
        return None
    clock = clock or Time()
    started = clock.now()
    seen = host.get_fact(FreshHost)
    while True:
        found = judge(seen, _address(), engine, port, CONFIG_LABEL)
        if isinstance(found, Ready):
            for line in found.notes:
                host.log(line)
            host.connector_data[_KEY] = True
            return None
        if isinstance(found, Failure):
            return found
        elapsed = clock.now() - started
        if elapsed >= found.deadline_s:
            return found.late
        host.log(f"waiting: {found.reason} ({elapsed:.0f} s of {found.deadline_s:.0f} s)")
        clock.sleep(PAUSE_S)
        seen = host.get_fact(FreshHost, asked_at=clock.now())


def _address() -> str:
    data = host.data
    user, address = data.get("ssh_user"), data.get("ssh_hostname") or host.name
    return f"{user}@{address}" if user else str(address)
