"""Processes that can be ended together with everything they started.

GuideLLM's workers outlive it: after a SIGTERM a dozen of them keep sending requests. So each
GuideLLM process runs in its own systemd scope (``scopes.py``), a control group, or in a process
group on machines without systemd.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from rocminfra.host.bench import hang_watch

# Between SIGTERM and SIGKILL. GuideLLM writes nothing on SIGTERM, so there is little to wait for.
GRACE_S = 3.0
# For killed processes to disappear on a busy machine.
KILLED_S = 10.0


class Process(Protocol):
    """A single process, as :class:`subprocess.Popen` has it."""

    pid: int

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; raises :class:`subprocess.TimeoutExpired` after ``timeout`` seconds."""


class Running(Protocol):
    """A process and everything it started.

    + origin: how it was started, for the attempt's record
    """

    origin: Mapping[str, Any]

    @property
    def pid(self) -> int:
        """PID of the process itself."""

    def wait(self, timeout: float) -> int | None:
        """Exit code of the process, or None if it still runs after ``timeout`` seconds."""

    @property
    def trouble(self) -> str | None:
        """What went wrong besides the process itself; None when it runs on this host."""

    @property
    def machine(self) -> Mapping[str, Any] | None:
        """The host that it runs on; None for this one."""

    def cpu_seconds(self) -> Mapping[int, float]:
        """CPU seconds used so far by each of its processes, by PID."""

    def ask_for_stacks(self, number: int, path: Path) -> bool:
        """Ask its processes to write their stacks. Returns whether any did.

        + number: the signal
        + path: the file they write to
        """

    def end(self) -> None:
        """End the process and everything it started; returns when they are gone."""


class Launcher(Protocol):
    """Starts processes."""

    def start(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> Running:
        """Start ``command`` in ``folder``; ``name`` identifies it in process lists."""


class Groups(Launcher, Protocol):
    """Starts processes on this host, or takes in one that somebody else started."""

    def start(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
        stdin: int = subprocess.DEVNULL,
    ) -> Running:
        """See :meth:`Launcher.start`; ``stdin`` is a file descriptor."""

    def adopt(self, name: str, process: Process) -> Running:
        """Put a process that leads a session of its own and has started nothing where
        :meth:`start` would have started it.

        Raises :class:`OSError` when that is not possible; the process is then as it was.
        """


class ProcessGroup:
    """A process group: covers everything except processes that start their own session."""

    trouble: str | None = None
    machine: Mapping[str, Any] | None = None

    def __init__(self, process: Process, grace_s: float = GRACE_S) -> None:
        self.origin: Mapping[str, Any] = {"process": "fresh"}
        self._process = process
        self._grace_s = grace_s

    @property
    def pid(self) -> int:
        """See :attr:`Running.pid`."""
        return self._process.pid

    def wait(self, timeout: float) -> int | None:
        """See :meth:`Running.wait`."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def cpu_seconds(self) -> Mapping[int, float]:
        """See :meth:`Running.cpu_seconds`."""
        return hang_watch.cpu_seconds(hang_watch.family(self.pid))

    def ask_for_stacks(self, number: int, path: Path) -> bool:
        """See :meth:`Running.ask_for_stacks`."""
        return hang_watch.ask_for_stacks(hang_watch.family(self.pid), number, path)

    def end(self) -> None:
        """See :meth:`Running.end`."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            self.wait(self._grace_s)
        # Always: workers may outlive the process.
        self._signal(signal.SIGKILL)
        self._process.wait()
        # A killed process is gone once it has been scheduled again; processes of others cannot be
        # waited for.
        deadline = time.monotonic() + KILLED_S
        while _is_alive(self._process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return


class ProcessGroups:
    """Launcher for machines without systemd.

    + grace_s: seconds between SIGTERM and SIGKILL
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s

    def start(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
        stdin: int = subprocess.DEVNULL,
    ) -> Running:
        """See :meth:`Groups.start`."""
        process = spawn(command, folder, environment, stdout, stderr, stdin)
        return ProcessGroup(process, self._grace_s)

    def adopt(self, name: str, process: Process) -> Running:
        """See :meth:`Groups.adopt`."""
        return ProcessGroup(process, self._grace_s)


def _is_alive(group: int) -> bool:
    """Whether a process group has a process that is not a zombie."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # Fields after the name, which may contain spaces: state, parent, group (proc(5)).
            state, _, found = entry.read_text(errors="replace").rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(found) == group and state not in ("Z", "X"):
            return True
    return False


def spawn(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    stdout: IO[bytes],
    stderr: IO[bytes],
    stdin: int,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own.

    + folder: its working folder
    + stdin: a file descriptor
    """
    return subprocess.Popen(
        list(command),
        cwd=folder,
        env=dict(environment),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
