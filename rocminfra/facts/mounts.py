"""What is mounted: /proc/self/mountinfo is the truth, findmnt has to agree with it."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from rocminfra.facts.fstab import unescape
from rocminfra.facts.tool_output import NotUnderstood, loads_tool
from rocminfra.planning.disk.observation import Mount


def parse_mountinfo(
    text: str, devices: Set[str], nodes: Mapping[str, str | None]
) -> tuple[Mount, ...]:
    """Lines of mountinfo (proc(5)).

    + devices: numbers of the block devices; a file system that is mounted under an anonymous
      number (Btrfs) gets the number of its source
    + nodes: numbers of the paths that are named as sources

    Raises :class:`NotUnderstood` for a line that is not one of mountinfo.
    """
    mounts = []
    for line in filter(None, text.split("\n")):
        fields = line.split(" ")
        try:
            dash = fields.index("-", 6)
            kind, source, super_options = fields[dash + 1 : dash + 4]
            number, root, target, options = fields[2:6]
        except ValueError:
            raise NotUnderstood(f"/proc/self/mountinfo: {line[:80]!r}") from None
        if number not in devices:
            number = nodes.get(unescape(source)) or number
        every = dict.fromkeys((*options.split(","), *super_options.split(",")))
        # "ro" of the file system counts more than "rw" of the mount, and the other way round.
        if "ro" in every:
            every.pop("rw", None)
        mounts.append(Mount(number, unescape(root), unescape(target), kind, tuple(every)))
    return tuple(mounts)


def check_findmnt(run: Any, mounts: tuple[Mount, ...], devices: Set[str]) -> None:
    """Raise :class:`NotUnderstood` unless findmnt sees the same block devices mounted."""
    document = loads_tool(run, "findmnt")
    entries = document.get("filesystems") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise NotUnderstood("findmnt printed something unknown")
    theirs = {str(entry.get("maj:min", "")).strip() for entry in entries} & devices
    ours = {mount.number for mount in mounts} & devices
    anonymous = {m.number for m in mounts if m.kind in ("btrfs", "bcachefs")}
    if theirs - ours or ours - theirs - anonymous:
        raise NotUnderstood(
            f"findmnt and /proc/self/mountinfo disagree about {', '.join(sorted(theirs ^ ours))}"
        )
