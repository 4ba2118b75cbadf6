"""Processes in systemd scopes: control groups that they cannot leave.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from rocminfra.host.bench.control_group import (
    GRACE_S,
    Launcher,
    ProcessGroup,
    ProcessGroups,
    Running,
    spawn,
)


class Scope(ProcessGroup):
    """A systemd scope: a control group that its processes cannot leave.

    ``systemd-run --scope`` execs the command, so the process is the command itself.
    """

    def __init__(self, process: subprocess.Popen[bytes], unit: str) -> None:
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
        return Scope(spawn(scoped, folder, environment, stdout, stderr), unit)


def launcher(owner: str | None) -> Launcher:
    """The launcher for this machine.

    + owner: unit of this process, or None
    """
    # The same test as sd_booted(3).
    return Scopes(owner) if Path("/run/systemd/system").is_dir() else ProcessGroups()
