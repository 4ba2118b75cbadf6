"""Small things the kernel, systemd and the user database know."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact


class KernelSetting(HostFact[str | None]):
    """Value of a sysctl, or None when this kernel does not have it."""

    def command(self, key: str) -> StringCommand:
        path = "/proc/sys/" + key.replace(".", "/")
        return StringCommand("! test -e", QuoteString(path), "|| cat", QuoteString(path))

    def process(self, output: list[str]) -> str | None:
        return output[0].strip() if output else None


class ManagerEnvironment(HostFact[dict[str, str]]):
    """The environment that systemd hands to every service it starts."""

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def requires_command(self) -> str:
        return "systemctl"

    def command(self) -> str:
        return "systemctl show-environment"

    def process(self, output: list[str]) -> dict[str, str]:
        return dict(line.split("=", 1) for line in output if "=" in line)


class UserGroups(HostFact[dict[str, frozenset[str]]]):
    """Groups of each named user; a user that is missing here does not exist on the host."""

    @staticmethod
    def default() -> dict[str, frozenset[str]]:
        return {}

    def command(self, users: Sequence[str]) -> StringCommand:
        return StringCommand(
            "for user in",
            *(QuoteString(user) for user in users),
            '; do groups=$(id -Gn "$user" 2>/dev/null) && echo "$user $groups" || true; done',
        )

    def process(self, output: list[str]) -> dict[str, frozenset[str]]:
        words = [line.split() for line in output]
        return {line[0]: frozenset(line[1:]) for line in words if line}


class GroupExists(HostFact[bool]):
    """Whether a group of this name exists."""

    @staticmethod
    def default() -> bool:
        return False

    def command(self, group: str) -> StringCommand:
        return StringCommand("getent group", QuoteString(group), ">/dev/null && echo yes || true")

    def process(self, output: list[str]) -> bool:
        return output[:1] == ["yes"]


class Arch(HostFact[str | None]):
    """The machine's architecture as ``uname -m`` names it, such as ``x86_64``."""

    def command(self) -> str:
        return "uname -m"

    def process(self, output: list[str]) -> str | None:
        return output[0].strip() or None
