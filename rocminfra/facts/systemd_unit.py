"""A systemd unit as systemd sees it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact


@dataclass(frozen=True)
class Unit:
    """State of a unit.

    + load_state: ``loaded``, ``not-found`` …
    + active_state: ``active``, ``activating``, ``failed``, ``inactive`` …
    + enabled: whether it starts at boot
    + needs_reload: whether the file on disk is newer than what systemd has read
    + invocation_id: changes with every start
    """

    load_state: str
    active_state: str
    enabled: bool
    needs_reload: bool
    invocation_id: str


class SystemdUnit(HostFact[Unit | None]):
    """One unit, or None where there is no systemd."""

    def requires_command(self, unit: str) -> str:
        return "systemctl"

    def command(self, unit: str) -> StringCommand:
        return StringCommand(
            "systemctl show --property",
            "LoadState,ActiveState,UnitFileState,NeedDaemonReload,InvocationID",
            QuoteString(unit),
        )

    def process(self, output: list[str]) -> Unit:
        pairs = dict(line.split("=", 1) for line in output if "=" in line)
        return Unit(
            load_state=pairs.get("LoadState", ""),
            active_state=pairs.get("ActiveState", ""),
            enabled=pairs.get("UnitFileState", "") == "enabled",
            needs_reload=pairs.get("NeedDaemonReload", "") == "yes",
            invocation_id=pairs.get("InvocationID", ""),
        )


class UnitCommand(HostFact[tuple[str, ...]]):
    """Words that a unit starts its process with, as systemd has read them; none without one.

    A word with a space in it is several here: systemd prints them without quotes.
    """

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def requires_command(self, unit: str) -> str:
        return "systemctl"

    def command(self, unit: str) -> StringCommand:
        return StringCommand("systemctl show --property ExecStart --value", QuoteString(unit))

    def process(self, output: list[str]) -> tuple[str, ...]:
        # { path=/usr/bin/docker ; argv[]=/usr/bin/docker run … ; ignore_errors=no ; …
        _, found, rest = " ".join(output).partition(" ; argv[]=")
        return tuple(rest.partition(" ; ignore_errors=")[0].split()) if found else ()


class UnitOverrides(HostFact[tuple[str, ...]]):
    """Drop-ins of a unit that replace its command, its checks, its type or its user; their paths.

    Others, which add to it, are no matter.
    """

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def command(self, unit: str) -> StringCommand:
        folders = ("/etc/systemd/system", "/run/systemd/system", "/lib/systemd/system")
        return StringCommand(
            # An empty ExecStartPre= takes back those before it (systemd.service(5)).
            r"grep -lsE '^[[:space:]]*(ExecStart|Type|User)[[:space:]]*=|"
            r"^[[:space:]]*ExecStartPre[[:space:]]*=[[:space:]]*$'",
            *(f"{folder}/{shlex.quote(unit)}.d/*.conf" for folder in folders),
            "|| true",
        )

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(output)
