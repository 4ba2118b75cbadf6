"""Debian packages that are installed."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact


class InstalledPackages(HostFact[frozenset[str]]):
    """Those of the named packages that are installed, whatever is wanted of them from now on, such
    as ``hold`` (dpkg-query(1): wanted, error, state)."""

    @staticmethod
    def default() -> frozenset[str]:
        return frozenset()

    def requires_command(self, packages: Sequence[str]) -> str:
        return "dpkg-query"

    def command(self, packages: Sequence[str]) -> StringCommand:
        return StringCommand(
            "dpkg-query -W -f '${Package}|${Status}\\n'",
            *(QuoteString(package) for package in packages),
            "2>/dev/null || true",
        )

    def process(self, output: list[str]) -> frozenset[str]:
        pairs = (line.split("|", 1) for line in output if "|" in line)
        return frozenset(
            name for name, status in pairs if status.split()[1:] == ["ok", "installed"]
        )
