"""/etc/fstab, read."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from rocminfra.facts.tool_output import NotUnderstood
from rocminfra.planning.disk.observation import FstabLine


def parse_fstab(text: str, nodes: Mapping[str, str | None]) -> tuple[FstabLine, ...]:
    """Entries of fstab(5), without comments and empty lines.

    + nodes: device numbers of the paths that it names

    Raises :class:`NotUnderstood` for a line that mount(8) would not accept either.
    """
    entries = []
    for line in text.split("\n"):
        fields = re.findall(r"[^ \t]+", line)
        if not fields or fields[0].startswith("#"):
            continue
        if len(fields) < 2:
            raise NotUnderstood(f"/etc/fstab: a line with one field: {line[:80]!r}")
        source, target = unescape(fields[0]), unescape(fields[1])
        kind = fields[2] if len(fields) > 2 else "auto"
        options = tuple(unescape(fields[3]).split(",")) if len(fields) > 3 else ("defaults",)
        # normpath() keeps two leading slashes; on Linux they mean one.
        folder = posixpath.normpath(f"/{target.lstrip('/')}") if target[0] == "/" else target
        entries.append(FstabLine(source, folder, kind, options, nodes.get(source)))
    return tuple(entries)


def unescape(field: str) -> str:
    """Undo the octal escapes of fstab(5) and proc(5)."""
    raw = field.encode("utf-8", "surrogateescape")
    plain = re.sub(rb"\\([0-7]{3})", lambda m: bytes((int(m.group(1), 8) & 255,)), raw)
    return plain.decode("utf-8", "surrogateescape")


def escape(field: str) -> str:
    """Escape ``field`` for fstab: blanks, tabs, backslashes and a leading #."""
    escaped = re.sub(r"[\s\\]", lambda m: "".join(f"\\{b:03o}" for b in m.group().encode()), field)
    return re.sub(r"^#", r"\\043", escaped)


def fstab_line(uuid: str, target: str, options: tuple[str, ...]) -> str:
    """The fstab line for a scratch file system, without fsck: fsck.xfs(8) does nothing."""
    return f"UUID={uuid} {escape(target)} xfs {escape(','.join(options))} 0 0"
