"""Processes in systemd scopes: control groups that they cannot leave.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from rocminfra.host.bench.control_group import (
    GRACE_S,
    Groups,
    Process,
    ProcessGroup,
    ProcessGroups,
    Running,
    spawn,
)

# For systemd to move a process into its scope.
MOVED_S = 30.0
_POLL_S = 0.005


class Scope(ProcessGroup):
    """A systemd scope: a control group that its processes cannot leave.

    ``systemd-run --scope`` execs the command, so the process is the command itself.
    """

    def __init__(self, process: Process, unit: str) -> None:
        super().__init__(process)
        self._unit = unit

    def end(self) -> None:
        """See :meth:`Running.end`."""
        # Stop sends SIGTERM to the whole group, SIGKILL after TimeoutStopSec, and waits.
        subprocess.run(
            ["systemctl", "stop", self._unit],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=GRACE_S + 30,
            check=False,
        )
        super().end()


class Scopes:
    """Launcher that gives every process a systemd scope.

    + owner: unit whose end also ends the scopes, or None; without it, a killed owner would leave
      its processes behind
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
        stdin: int = subprocess.DEVNULL,
    ) -> Running:
        """See :meth:`Groups.start`."""
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
        return Scope(spawn(scoped, folder, environment, stdout, stderr, stdin), unit)

    def adopt(self, name: str, process: Process) -> Running:
        """See :meth:`Groups.adopt`."""
        unit = f"{name}.scope"
        properties = [
            *("PIDs", "au", "1", str(process.pid)),
            *("KillMode", "s", "control-group"),
            *("TimeoutStopUSec", "t", str(int(GRACE_S * 1e6))),
            # As `systemd-run --collect`: a scope that failed is forgotten, too.
            *("CollectMode", "s", "inactive-or-failed"),
        ]
        count = 4
        if self._owner is not None:
            properties += ["BindsTo", "as", "1", self._owner]
            count += 1
        _call_systemd(
            *("StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail"),
            *(str(count), *properties, "0"),
        )
        # The answer is a job; the process has moved when the kernel says so.
        deadline = time.monotonic() + MOVED_S
        while not _is_in(process.pid, unit):
            if process.poll() is not None or time.monotonic() > deadline:
                Scope(process, unit).end()
                raise OSError(f"process {process.pid} did not get to {unit}")
            time.sleep(_POLL_S)
        return Scope(process, unit)


def launcher(owner: str | None) -> Groups:
    """The launcher for this machine.

    + owner: unit of this process, or None
    """
    # The same test as sd_booted(3).
    return Scopes(owner) if Path("/run/systemd/system").is_dir() else ProcessGroups()


def _call_systemd(method: str, *arguments: str) -> None:
    """Call a method of systemd's manager (org.freedesktop.systemd1(5))."""
    where = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
    try:
        done = subprocess.run(
            ["busctl", "call", *where, "org.freedesktop.systemd1.Manager", method, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=MOVED_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"systemd's {method} took more than {MOVED_S:g} s") from None
    if done.returncode != 0:
        raise OSError(f"systemd's {method}: {done.stderr.strip()}")


def _is_in(pid: int, unit: str) -> bool:
    """Whether a process is in a unit's control group (cgroups(7))."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    # The unified hierarchy, or systemd's own of version 1.
    groups = [line.split(":", 2) for line in lines]
    return any(
        path.rpartition("/")[2] == unit for _, kind, path in groups if kind in ("", "name=systemd")
    )
