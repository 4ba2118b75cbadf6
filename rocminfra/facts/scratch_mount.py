"""What is mounted at a path, and how full it is."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pyinfra.api import QuoteString, StringCommand

from rocminfra.facts.host_fact import HostFact

SENTINEL = ".rocminfra-scratch"


@dataclass(frozen=True)
class ScratchMount:
    """A mounted file system.

    + device: what is mounted, such as ``/dev/vdc``
    + filesystem: its type
    + options: mount options as the kernel reports them
    + size_bytes, used_bytes, available_bytes: as statfs(2) says
    + uuid: the file system's UUID as our own mark on it says; None when the mark is missing,
      so when somebody else made it
    """

    device: str
    filesystem: str
    options: tuple[str, ...]
    size_bytes: int
    used_bytes: int
    available_bytes: int
    uuid: str | None


class ScratchMountStatus(HostFact[ScratchMount | None]):
    """The mount at exactly this path, or None when nothing is mounted there."""

    def requires_command(self, mount_point: str) -> str:
        return "findmnt"

    def command(self, mount_point: str) -> StringCommand:
        # findmnt fails when nothing is mounted there, which is an answer and no error.
        sentinel = f"{mount_point.rstrip('/')}/{SENTINEL}"
        return StringCommand(
            "findmnt --json --bytes --mountpoint",
            QuoteString(mount_point),
            "--output SOURCE,FSTYPE,OPTIONS,SIZE,USED,AVAIL || true; ! test -e",
            QuoteString(sentinel),
            "|| { echo; head -n 1",
            QuoteString(sentinel),
            "; }",
        )

    def process(self, output: list[str]) -> ScratchMount | None:
        text = "\n".join(output)
        if not text.strip().startswith("{"):
            return None
        found, end = json.JSONDecoder().raw_decode(text.strip())
        mounts = found.get("filesystems") or []
        if not mounts:
            return None
        # Mounted over each other: the last one is what programs see.
        mount = mounts[-1]
        return ScratchMount(
            device=mount["source"],
            filesystem=mount["fstype"],
            options=tuple(mount["options"].split(",")),
            size_bytes=int(mount["size"] or 0),
            used_bytes=int(mount["used"] or 0),
            available_bytes=int(mount["avail"] or 0),
            uuid=text.strip()[end:].strip() or None,
        )
