"""Locks that name their holder and vanish with it.

The kernel gives a lock back when its holder ends, however it ends, so nothing is ever stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab.paths import default_paths

SAID_EVERY_S = 8


class LabLocked(FailedError):
    """Another process holds the lock; the message names it."""


@contextmanager
def exclusive(
    name: str,
    wait_s: float = 0.0,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Iterator[Path]:
    """Hold the lock ``name``, or refuse and say who holds it since when.

    Programs that are started while it is held carry its mark in their environment, so that
    :func:`started_under` finds them when the holder has been killed.

    + wait_s: how long to wait for another holder, seconds
    + folder: where lock files stand; the lab's own folder unless given
    + say: told every 8 s whom it waits for

    Raises :class:`LabLocked` when it is held, :class:`FailedError` when it cannot be written.
    """
    folder = default_paths().locks if folder is None else folder
    file = folder / f"{name}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(
            file, time.monotonic() + wait_s, lambda: say(f"waiting: {_held_by(name, file)}")
        )
    except PermissionError:
        raise FailedError(
            Fault.LAB_NEEDS_ROOT,
            f"the lab needs root (cannot write {file})",
            next=Do("sudo, or a root shell"),
        ) from None
    if descriptor is None:
        raise _locked(name, file)
    variable, value = _mark(file)
    os.environ[variable] = value
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, _holder_text().encode())
        yield file
    finally:
        os.environ.pop(variable, None)
        os.close(descriptor)


def holder(name: str, folder: Path | None = None) -> str | None:
    """Who holds the lock ``name`` now, as ``process 123 (command) since …``; None when nobody."""
    file = (default_paths().locks if folder is None else folder) / f"{name}.lock"
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(file)
    finally:
        os.close(descriptor)
    return None


def started_under(name: str, folder: Path | None = None) -> tuple[int, ...]:
    """Processes that hold the lock ``name``, or were started by one that did; never this one.

    Those above this process are left out as well: whoever asks does not want to end itself.
    """
    file = (default_paths().locks if folder is None else folder) / f"{name}.lock"
    mark = "=".join(_mark(file)).encode()
    own = _above(os.getpid())
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in own:
            continue
        with contextlib.suppress(OSError):  # it has ended
            if mark in (entry / "environ").read_bytes().split(b"\0") or _has_open(entry, file):
                found.append(int(entry.name))
    return tuple(sorted(found))


def _mark(file: Path) -> tuple[str, str]:
    return f"ROCMINFRA_LAB_UNDER_{file.stem.upper()}", str(file)


def _has_open(process: Path, file: Path) -> bool:
    for link in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(link) == str(file):
                return True
    return False


def _above(pid: int) -> frozenset[int]:
    """A process and those that it descends from."""
    found = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        pid = int(text.rpartition(")")[2].split()[1])
    return frozenset(found)


def _acquire(file: Path, deadline: float, waiting: Callable[[], None]) -> int | None:
    said = time.monotonic()
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() >= deadline:
                return None
            if time.monotonic() >= said + SAID_EVERY_S:
                said = time.monotonic()
                waiting()
            time.sleep(0.1)
            continue
        # `clean` removes lock files while it holds them: a lock on a removed file guards nothing.
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == file.stat().st_ino:
                return descriptor
        os.close(descriptor)


def _holder_text() -> str:
    since = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
    return f"process {os.getpid()} ({command}) since {since}\n"


def _read_holder(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip() or "a process that has just started"
    except OSError:
        return "a process that has just ended"


def _held_by(name: str, file: Path) -> str:
    what = {
        "demo": "another demo is running",
        "lab": "another lab command is at work",
        "base": "another process builds the base root",
    }.get(name, f"the lock '{name}' is held")
    return f"{what}: {_read_holder(file)}"


def _locked(name: str, file: Path) -> LabLocked:
    return LabLocked(
        Fault.LAB_LOCKED,
        _held_by(name, file),
        next=Do(
            "wait until it has ended, then run this again; or end that process",
        ),
    )
