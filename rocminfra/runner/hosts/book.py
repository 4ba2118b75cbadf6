"""A host's book of runs, and its lock: who applied what and when, and who is at work."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra.api.host import Host

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.host_paths import RUN_LOCK
from rocminfra.runner.run.host_lock import owner
from rocminfra.runner.run.host_program import run_program
from rocminfra.runner.run.session import Session


@dataclass(frozen=True)
class Run:
    """A run on a host, as its book says.

    + began: in UTC, ``2026-01-31T09:30:00Z``; None when only its end is in the book
    + owner: who ran it, and from which machine
    + command: what was run; no data and no secrets
    + rocminfra: version of it
    + outcome: ``done``, ``failed``, ``interrupted``, ``running``, or ``unknown`` for one whose end
      nobody could write down
    + ended: in UTC
    + seconds: how long the operations took
    + changed: names of the operations that changed something
    + failures: what was wrong
    """

    began: str | None
    owner: str
    command: str
    rocminfra: str
    outcome: str
    ended: str | None = None
    seconds: float | None = None
    changed: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Broken:
    """A lock that somebody broke.

    + time: in UTC
    + owner: who broke it
    + reason: in that person's words
    + holder: whose lock it was, and its command
    """

    time: str
    owner: str
    reason: str
    holder: str


@dataclass(frozen=True)
class Holder:
    """A run that holds a host's lock.

    + owner: who runs it, and from which machine
    + command: what is run
    + since: in UTC
    + pid: process on the host that ends with its connection
    """

    owner: str
    command: str
    since: str
    pid: int | None


Event = Run | Broken


def read_events(session: Session, host: Host, most: int) -> tuple[Event, ...]:
    """The last events of a host, oldest first."""
    # Two lines a run, in the book.
    found = _ask(session, host, "events", {"lines": 2 * most})
    running = found["holder"].get("token") if found["running"] else None
    return events_of(found["events"], running)[-most:] if most else ()


def read_lock(session: Session, host: Host) -> Holder | None:
    """Who holds the lock of a host; None when it is free, or its holder is gone."""
    found = _ask(session, host, "show", {})
    return _holder(found["holder"]) if found["running"] else None


def break_lock(session: Session, host: Host, reason: str) -> Holder | None:
    """Take the lock from the run that holds it, and write down why; None when none does."""
    broken = _ask(session, host, "break", {"owner": owner(), "reason": reason})["broken"]
    return None if broken is None else _holder(broken)


def events_of(lines: Sequence[Mapping[str, Any]], running: str | None) -> tuple[Event, ...]:
    """Events of a book's lines: beginning and end of a run are one.

    + lines: as they were written, in their order
    + running: token of the run that holds the lock
    """
    found: dict[str, Event] = {}
    for number, line in enumerate(lines):
        kind, token = line.get("event"), str(line.get("token", number))
        if kind == "began":
            outcome = "running" if token == running else "unknown"
            found[token] = Run(
                _text(line, "since") or _text(line, "time"),
                _text(line, "owner"),
                _text(line, "command"),
                _text(line, "rocminfra"),
                outcome,
            )
        elif kind == "ended":
            found[token] = _with_end(found.get(token), line)
        elif kind == "lock broken":
            holder = line.get("holder") or {}
            words = f"{_text(holder, 'command')}, by {_text(holder, 'owner')}"
            found[f"broken {number}"] = Broken(
                _text(line, "time"), _text(line, "owner"), _text(line, "reason"), words
            )
    return tuple(found.values())


def _with_end(began: Event | None, line: Mapping[str, Any]) -> Run:
    start = began if isinstance(began, Run) else Run(None, "", "", "", "unknown")
    seconds = line.get("seconds")
    return Run(
        start.began,
        start.owner,
        start.command,
        start.rocminfra,
        _text(line, "outcome"),
        _text(line, "time"),
        float(seconds) if isinstance(seconds, int | float) else None,
        tuple(map(str, line.get("changed") or ())),
        tuple(map(str, line.get("failures") or ())),
    )


def _text(line: Mapping[str, Any], key: str) -> str:
    return str(line.get(key) or "")


def _holder(record: Mapping[str, Any]) -> Holder:
    pid = record.get("pid")
    return Holder(
        _text(record, "owner"),
        _text(record, "command"),
        _text(record, "since"),
        pid if isinstance(pid, int) else None,
    )


def _ask(session: Session, host: Host, action: str, request: Mapping[str, Any]) -> Any:
    succeeded, output, errors = run_program(
        session.state, host, "run_lock", (action, RUN_LOCK), request
    )
    if not succeeded:
        raise FailedError(
            Fault.BOOK_UNREADABLE,
            f"the book of {host.name} could not be read",
            tuple(errors.splitlines())[-5:],
            Do(f"rocminfra events --limit {host.name} -v"),
        )
    return json.loads(output)
