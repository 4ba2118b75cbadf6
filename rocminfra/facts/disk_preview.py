"""What would be lost if a disk were wiped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rocminfra.facts.host_fact import HostFact
from rocminfra.host.programs import call


@dataclass(frozen=True)
class Preview:
    """One file system of the disk.

    + used: bytes, or None when unknown
    + newest: names of the newest files, the newest first
    + problem: why it is unknown, or None
    """

    device: str
    used: int | None
    newest: tuple[str, ...]
    problem: str | None = None

    def __str__(self) -> str:
        if self.problem is not None:
            return f"{self.device}: its files cannot be shown ({self.problem})"
        names = ", ".join(repr(name)[1:-1] for name in self.newest)
        used = f"{(self.used or 0) / 1024**2:,.0f} MiB used"
        # After a crash, the latest changes are only in a journal, and replaying it would write.
        names = names or "none, or none outside a journal that is not replayed"
        return f"{self.device}: {used}; newest files: {names}"


class DiskPreview(HostFact[tuple[Preview, ...]]):
    """Used bytes and newest files of file systems that are not mounted.

    They are mounted read-only, without replaying a journal, in a mount name space that ends with
    the command.

    .. code:: python

        host.get_fact(DiskPreview, contents=(("/dev/vdc", "ext4"),))
    """

    def command(self, contents: Sequence[tuple[str, str]]) -> str:
        """Shell command.

        + contents: pairs of a device and the kind of file system on it
        """
        flat = [word for pair in contents for word in pair]
        return f'unshare --mount {call("disk_preview", *flat)} || echo "exit code $?"'

    @staticmethod
    def default() -> tuple[Preview, ...]:
        """Nothing could be shown."""
        return ()

    def process(self, output: list[str]) -> tuple[Preview, ...]:
        """Read the program's list; what is not one is told as a problem."""
        try:
            return tuple(_preview(entry) for entry in json.loads(output[-1]))
        except (ValueError, TypeError, KeyError):
            return (Preview("the disk", None, (), "; ".join(output[-3:])),)


def _preview(entry: dict[str, Any]) -> Preview:
    return Preview(entry["device"], entry["used"], tuple(entry["newest"]), entry["problem"])
