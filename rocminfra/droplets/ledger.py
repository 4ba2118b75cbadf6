"""The ledger: a line for every paid droplet, written before the request for it leaves.

A text file with one JSON object a line, only ever appended to and flushed to the disk each time.
``intended`` stands there before the cloud is asked, so a droplet that nobody knows cannot be: what
was lost is looked up by its tag. An entry is open until the cloud has shown the droplet to be gone.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rocminfra.failure import Do, FailedError, Failure, Fault

INTENDED, CREATED, READY, KEPT, CLOSED = "intended", "created", "ready", "kept", "closed"

# Who looks after a droplet: one command for as long as it runs, or a person.
BY_RUN, BY_PERSON = "run", "person"

# How a droplet ended.
DESTROYED = "destroyed"
REFUSED = "refused by the cloud"
NEVER_APPEARED = "never appeared"
NOT_OURS = "destroyed by someone else"


@dataclass(frozen=True)
class Entry:
    """A droplet that was asked for.

    + tag: its own tag
    + at: when it was asked for, seconds since 1970
    + account: the team's id at ``endpoint``
    + expires: until when it may live, seconds since 1970
    + owner: ``BY_RUN`` or ``BY_PERSON``
    + id: None until the cloud said it
    + action: the cloud's number for its making, where it said one
    + host_key: pinned at creation, ``ssh-ed25519 AAAA…``
    + closed: how it ended; None while it may cost money
    """

    tag: str
    name: str
    at: float
    endpoint: str
    account: str
    team: str
    size: str
    region: str
    usd_per_hour: float
    expires: float
    owner: str
    scratch_gib: float | None = None
    identity: str | None = None
    id: int | None = None
    action: int | None = None
    host_key: str | None = None
    closed: str | None = None
    closed_at: float | None = None

    @property
    def is_open(self) -> bool:
        return self.closed is None

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.name} (id {self.id})" if self.id is not None else f"{self.name} ({self.tag})"


@dataclass(frozen=True)
class Book:
    """The ledger as read.

    + damaged: number and fault of every line that cannot be read
    """

    entries: tuple[Entry, ...]
    damaged: tuple[tuple[int, str], ...] = ()

    @property
    def open(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.is_open)

    def of(self, account: str) -> tuple[Entry, ...]:
        """Open entries of one team."""
        return tuple(entry for entry in self.open if entry.account == account)

    def foreign(self, account: str) -> tuple[Entry, ...]:
        """Open entries of other teams, which this token cannot see."""
        return tuple(entry for entry in self.open if entry.account != account)


class Ledger:
    """The file; every method takes its lock for itself, unless one is held.

    + path: the file, which need not be there yet
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from reading or writing until this ends."""
        if self._held:
            yield
            return
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._held = True
            yield
        finally:
            self._held = False
            os.close(descriptor)

    def read(self) -> Book:
        """Everything in it, also where lines are damaged.

        Raises :class:`FailedError` when the file is there and cannot be read at all.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return Book(())
        except OSError as error:
            raise self._unusable(error) from None
        lines = content.split(b"\n")
        # A line is whole before anything is done that it speaks of, so a last line without its
        # end says nothing: the process was killed while it wrote.
        return fold(lines[:-1])

    def checked(self) -> Book:
        """As :meth:`read`; raises :class:`FailedError` (5) when lines are damaged."""
        book = self.read()
        if not book.damaged:
            return book
        raise FailedError.of(damaged_failure(self.path, book))

    def entry(self, tag: str) -> Entry | None:
        """The entry of one droplet."""
        return next((entry for entry in self.read().entries if entry.tag == tag), None)

    def intend(self, entry: Entry) -> None:
        """Write down a droplet that is about to be asked for."""
        data = {
            key: value
            for key, value in vars(entry).items()
            if value is not None and key not in ("id", "action", "host_key", "closed", "closed_at")
        }
        self._append({"event": INTENDED, **data})

    def created(self, entry: Entry, number: int, action: int | None = None) -> Entry:
        """Write down the id that the cloud gave."""
        self._append({"event": CREATED, "tag": entry.tag, "id": number, "action": action})
        return replace(entry, id=number, action=action)

    def ready(self, entry: Entry, host_key: str) -> Entry:
        """Write down the host key that the droplet showed first."""
        self._append({"event": READY, "tag": entry.tag, "host_key": host_key})
        return replace(entry, host_key=host_key)

    def keep(self, entry: Entry) -> Entry:
        """Write down that a person looks after the droplet from now on, and no run."""
        self._append({"event": KEPT, "tag": entry.tag})
        return replace(entry, owner=BY_PERSON)

    def close(self, entry: Entry, how: str, at: float) -> Entry:
        """Write down that the droplet costs nothing any more."""
        self._append({"event": CLOSED, "tag": entry.tag, "how": how, "at": at})
        return replace(entry, closed=how, closed_at=at)

    def _append(self, event: dict[str, Any]) -> None:
        line = json.dumps(event, sort_keys=True).encode() + b"\n"
        try:
            with self.locked():
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
                try:
                    end = _end_of_last_whole_line(descriptor)
                    os.ftruncate(descriptor, end)
                    os.lseek(descriptor, end, os.SEEK_SET)
                    _write_all(descriptor, line)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> FailedError:
        return FailedError.of(
            Failure(
                Fault.LEDGER_UNUSABLE,
                f"the ledger cannot be used: {self.path}: {error.strerror}",
                next=Do(f"ls -l {self.path}; df {self.path.parent}"),
            )
        )


def damaged_failure(path: Path, book: Book) -> Failure:
    """Why nothing is created while the ledger is damaged."""
    return Failure(
        Fault.LEDGER_DAMAGED,
        f"the ledger is damaged, and may hide a droplet that costs money: {path}",
        tuple(f"line {number}: {fault}" for number, fault in book.damaged),
        Do(f"rocminfra droplet list   # what runs, by its tags; then: mv {path} {path}.damaged"),
    )


@dataclass
class _Folding:
    entries: dict[str, Entry] = field(default_factory=dict)

    def take(self, event: Any) -> None:
        kind, tag = event["event"], event["tag"]
        if kind == INTENDED:
            values = {key: value for key, value in event.items() if key != "event"}
            self.entries[tag] = _entry(values)
        elif kind == CREATED:
            number, action = int(event["id"]), event.get("action")
            self.entries[tag] = replace(self.entries[tag], id=number, action=action)
        elif kind == READY:
            self.entries[tag] = replace(self.entries[tag], host_key=str(event["host_key"]))
        elif kind == KEPT:
            self.entries[tag] = replace(self.entries[tag], owner=BY_PERSON)
        elif kind == CLOSED:
            how, at = str(event["how"]), float(event["at"])
            self.entries[tag] = replace(self.entries[tag], closed=how, closed_at=at)
        else:
            raise ValueError(f"unknown event {kind!r}")


def fold(lines: list[bytes]) -> Book:
    """Entries out of the ledger's lines."""
    folding = _Folding()
    damaged = []
    for number, line in enumerate(lines, start=1):
        try:
            folding.take(json.loads(line))
        except KeyError as error:
            damaged.append((number, f"{error} is missing"))
        except (ValueError, TypeError) as error:
            fault = "is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            damaged.append((number, fault))
    return Book(tuple(folding.entries.values()), tuple(damaged))


def _entry(values: dict[str, Any]) -> Entry:
    for key in ("at", "usd_per_hour", "expires"):
        if isinstance(values[key], bool) or not isinstance(values[key], (int, float)):
            raise ValueError(f"'{key}' is not a number")
    return Entry(**values)


def _end_of_last_whole_line(descriptor: int) -> int:
    end = os.lseek(descriptor, 0, os.SEEK_END)
    while end > 0 and os.pread(descriptor, 1, end - 1) != b"\n":
        end -= 1
    return end


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
