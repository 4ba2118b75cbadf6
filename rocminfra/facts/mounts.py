"""Mounts: /proc/self/mountinfo is authoritative, and findmnt must agree with it."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from rocminfra.facts.fstab import unescape
from rocminfra.facts.tool_output import NotUnderstood, loads_tool
from rocminfra.planning.disk.observation import Mount


def parse_mountinfo(
    text: str, devices: Set[str], nodes: Mapping[str, str | None]
) -> tuple[Mount, ...]:
    """The mounts in mountinfo (proc(5)).

    + devices: numbers of the block devices; a file system mounted under an anonymous number (Btrfs)
      gets the number of its source
    + nodes: device numbers of the source paths

    Raises :class:`NotUnderstood` for a line that is not valid mountinfo.
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
        # "ro" wins, whether the file system or the mount has it.
        if "ro" in every:
            every.pop("rw", None)
        mounts.append(Mount(number, unescape(root), unescape(target), kind, tuple(every)))
    return tuple(mounts)


def check_findmnt(run: Any, mounts: tuple[Mount, ...], devices: Set[str]) -> None:
    """Raise :class:`NotUnderstood` unless findmnt sees the same block devices mounted."""
    document = loads_tool(run, "findmnt")
    entries = document.get("filesystems") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise NotUnderstood("findmnt printed unexpected output")
    theirs = {str(entry.get("maj:min", "")).strip() for entry in entries} & devices
    ours = {mount.number for mount in mounts} & devices
    anonymous = {m.number for m in mounts if m.kind in ("btrfs", "bcachefs")}
    if theirs - ours or ours - theirs - anonymous:
        raise NotUnderstood(
            f"findmnt and /proc/self/mountinfo disagree about {', '.join(sorted(theirs ^ ours))}"
        )
