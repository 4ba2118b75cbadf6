"""Processes that can be ended with everything they started.

GuideLLM's workers outlive it: after a SIGTERM a dozen of them go on sending requests. So each of
its processes is a systemd scope, a control group of its own; where there is no systemd, a process
group has to do.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

# Between asking and killing. GuideLLM writes nothing when it is asked to end, so there is little
# to wait for.
GRACE_S = 3.0
# For killed processes to be gone, on a machine that is busy.
KILLED_S = 10.0


class Running(Protocol):
    """A process and all that it started."""

    @property
    def pid(self) -> int:
        """Id of the process itself."""

    def wait(self, timeout: float) -> int | None:
        """Exit code of the process, or None when it still runs after ``timeout`` seconds."""

    def end(self) -> None:
        """End the process and everything that it started; returns when they are gone."""


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
        """Start ``command`` in ``folder``; ``name`` is for people who list what runs."""


class ProcessGroup:
    """A process group: everything but processes that make a session of their own."""

    def __init__(self, process: subprocess.Popen[bytes], grace_s: float = GRACE_S) -> None:
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

    def end(self) -> None:
        """See :meth:`Running.end`."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            self.wait(self._grace_s)
        # Always: the process may be gone and its workers not.
        self._signal(signal.SIGKILL)
        self._process.wait()
        # A killed process is gone when it has been scheduled once more, and others' are not ours
        # to wait for.
        deadline = time.monotonic() + KILLED_S
        while _is_alive(self._process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return


class Scope(ProcessGroup):
    """A systemd scope: a control group, which nothing in it can leave.

    ``systemd-run --scope`` becomes the command, so the process is the command's own.
    """

    def __init__(self, process: subprocess.Popen[bytes], unit: str) -> None:
        super().__init__(process)
        self._unit = unit

    def end(self) -> None:
        """See :meth:`Running.end`."""
        # Stopping sends SIGTERM to all of the group and SIGKILL after TimeoutStopSec, and waits.
        subprocess.run(
            ["systemctl", "stop", self._unit],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=GRACE_S + 30,
            check=False,
        )
        super().end()


class ProcessGroups:
    """Launcher for machines without systemd.

    + grace_s: seconds between asking a process to end and killing it
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
    ) -> Running:
        """See :meth:`Launcher.start`."""
        return ProcessGroup(_spawn(command, folder, environment, stdout, stderr), self._grace_s)


class Scopes:
    """Launcher that gives every process a systemd scope.

    + owner: unit that the scopes end with, or None; without it, a killed owner would leave its
      processes behind
    """

    def __init__(self, owner: str | None) -> None:
        self._owner = owner

    def start(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> Running:
        """See :meth:`Launcher.start`."""
        unit = f"{name}.scope"
        properties = [f"TimeoutStopSec={GRACE_S:g}", "KillMode=control-group"]
        if self._owner is not None:
            properties.append(f"BindsTo={self._owner}")
        scoped = [
            *("systemd-run", "--quiet", "--scope", "--collect", f"--unit={unit}"),
            *(f"--property={item}" for item in properties),
            "--",
            *command,
        ]
        return Scope(_spawn(scoped, folder, environment, stdout, stderr), unit)


def launcher(owner: str | None) -> Launcher:
    """The launcher that fits this machine.

    + owner: unit that this process runs in, or None
    """
    # The test that sd_booted(3) makes.
    return Scopes(owner) if Path("/run/systemd/system").is_dir() else ProcessGroups()


def _is_alive(group: int) -> bool:
    """Whether a process group has a process that is more than a zombie."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # After the name, which may hold blanks: state, parent, group (proc(5)).
            state, _, found = entry.read_text(errors="replace").rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(found) == group and state not in ("Z", "X"):
            return True
    return False


def _spawn(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    stdout: IO[bytes],
    stderr: IO[bytes],
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(command),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
