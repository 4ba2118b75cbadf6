"""A program that downloads, watched: how far it is, whether anything still arrives.

Standard library only, in Python 3.8's syntax.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from rocminfra.host.fetch.sockets import more, received

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

# No byte for so long is a stall.
STALL_S = 120.0
# Where files do not grow, so much over the network is a sign of life: a line that brings less in
# STALL_S, half a kilobyte a second, counts as dead.
LIVE_BYTES = 65536
ATTEMPTS = 3
PAUSE_S = 10.0
_LOOK_S = 1.0
_QUIET_S = 10.0
_GRACE_S = 10.0


class GivenUpError(Exception):
    """The download has failed for good.

    + kind: ``space``, ``denied``, ``absent``, ``unreachable``, ``stalled``, ``failed`` or ``odd``
    + what: one sentence
    """

    def __init__(self, kind: str, what: str) -> None:
        self.kind = kind
        super().__init__(what)


class Status:
    """What the operator is told, as one line of JSON in a file.

    + path: of the file; empty for none
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[str, Any] = {}

    def say(self, **parts: Any) -> None:
        """Say more; what is not given stays as it was."""
        self._known.update(parts)
        if not self._path:
            return
        new = f"{self._path}.new"
        with open(new, "w", encoding="utf-8") as file:
            file.write(json.dumps(self._known) + "\n")
        os.replace(new, self._path)


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds; a test passes its own."""

    stall_s: float = STALL_S
    pause_s: float = PAUSE_S
    look_s: float = _LOOK_S
    # After so long without anything new in files, the network is looked at, and people are told.
    quiet_s: float = _QUIET_S


def main(work: Callable[[Status], None]) -> int:
    """Run a download in its unit; its exit code. What went wrong is in the status."""
    status = Status(os.environ.get("JOB", "") and f"{os.environ['JOB']}.status")
    # `systemctl stop` ends the whole group; this only gets the message right.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        work(status)
    except GivenUpError as error:
        status.say(error=str(error), kind=error.kind)
        print(error, file=sys.stderr)
        return 1
    return 0


def download(
    command: Sequence[str],
    environment: Mapping[str, str],
    arrived: Callable[[], int],
    status: Status,
    patience: Patience | None = None,
    aside: Callable[[], int] = lambda: 0,
) -> None:
    """Run a program until it has succeeded.

    + arrived: bytes that are there now
    + aside: bytes that the program keeps elsewhere before they are there
    + patience: a stall is when neither changes for so long, and the network brings next to nothing
      (:data:`LIVE_BYTES`); the program is ended and, like one that fails, started again, which
      resumes

    Raises :class:`GivenUpError` when several attempts in a row brought nothing.
    """
    patience = patience or Patience()
    in_vain, before = 0, arrived()
    while True:
        kind, said = _attempt(command, environment, arrived, status, patience, aside)
        if not kind:
            return
        now = arrived()
        in_vain = 1 if now > before else in_vain + 1
        before = now
        if in_vain >= ATTEMPTS:
            raise GivenUpError(kind, f"{said}, {ATTEMPTS} times in a row")
        status.say(note=f"{said}: tried again")
        print(f"{said}: tried again", file=sys.stderr)
        time.sleep(patience.pause_s)


def _attempt(
    command: Sequence[str],
    environment: Mapping[str, str],
    arrived: Callable[[], int],
    status: Status,
    patience: Patience,
    aside: Callable[[], int],
) -> tuple[str, str]:
    """Kind and words of how it failed; empty ones when it did not."""
    process = subprocess.Popen(
        list(command),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    last, since = (arrived(), aside()), time.monotonic()
    silent_since = since
    heard: dict[str, int] | None = None
    try:
        while True:
            try:
                code = process.wait(patience.look_s)
            except subprocess.TimeoutExpired:
                pass
            else:
                return ("", "") if code == 0 else ("failed", f"{command[0]} ended with {code}")
            there = arrived()
            now = time.monotonic()
            if (there, aside()) != last:
                last, since, silent_since, heard = (there, aside()), now, now, None
                status.say(note="")
            if now - since >= patience.quiet_s:
                coming = received(process.pid)
                heard = coming if heard is None else heard
                if more(coming, heard) >= LIVE_BYTES:
                    heard, silent_since = coming, now
            silent = now - silent_since
            if silent >= patience.quiet_s:
                status.say(note=f"nothing has arrived for {silent:.0f} s")
            elif now - since >= patience.quiet_s:
                status.say(
                    note=f"slow: no file has grown for {now - since:.0f} s, data still comes"
                )
            status.say(done=there)
            if silent >= patience.stall_s:
                return "stalled", f"nothing has arrived for {silent:.0f} s"
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        except PermissionError:
            pass
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def free_bytes(folder: str) -> int:
    """Free space of the file system that a folder is on, or will be."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def claimed_bytes() -> int:
    """What other downloads that are under way have still to write, as far as they say."""
    job = os.environ.get("JOB", "")
    if not job:
        return 0
    claimed = 0
    for name in sorted(os.listdir(os.path.dirname(job))):
        base = os.path.join(os.path.dirname(job), name[: -len(".status")])
        if not name.endswith(".status") or base == job or os.path.exists(f"{base}.code"):
            continue
        try:
            with open(f"{base}.status", encoding="utf-8") as file:
                said = json.loads(file.readline())
            claimed += max(0, int(said["total"]) - int(said.get("done", 0)))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return claimed


def sized(count: int) -> str:
    """Bytes as people say them: 12.3 GB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:,} bytes"
