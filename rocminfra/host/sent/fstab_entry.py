"""Make one line the only entry of its mount point in fstab. Every other byte stays.

    python3 fstab_entry.py FILE MOUNT_POINT LINE SHA256

SHA256 is the hash of the file at the time of the decision; a file that has changed since is left
alone. The new file replaces the old one with a rename, so a crash leaves one or the other.

Standard library only: this file is sent to the host as it is.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import sys


def with_line(text: bytes, target: bytes, line: bytes) -> bytes:
    """``text`` with ``line`` in place of the first entry of ``target``, and without its others.

    + text: contents of fstab
    + target: mount point, without escapes
    + line: the new entry, without its newline
    """
    kept: list[bytes] = []
    placed = False
    for old in re.findall(rb"[^\n]*\n|[^\n]+", text):
        if not _is_for(old, target):
            kept.append(old)
        elif not placed:
            kept.append(line + b"\n")
            placed = True
    if placed:
        return b"".join(kept)
    if kept and not kept[-1].endswith(b"\n"):
        kept[-1] += b"\n"
    return b"".join((*kept, line + b"\n"))


def _is_for(line: bytes, target: bytes) -> bool:
    fields = re.findall(rb"[^ \t\n]+", line)
    if len(fields) < 2 or fields[0].startswith(b"#"):
        return False
    found = re.sub(rb"\\([0-7]{3})", lambda m: bytes((int(m.group(1), 8) & 255,)), fields[1])
    return found[:1] == b"/" and posixpath.normpath(b"/" + found.lstrip(b"/")) == target


def main(arguments: list[str]) -> int:
    """Return 0 when the line is in place, 1 when the file has changed, 2 for bad usage."""
    if len(arguments) != 4:
        print("usage: fstab_entry.py FILE MOUNT_POINT LINE SHA256", file=sys.stderr)
        return 2
    path = os.path.realpath(arguments[0])
    target, line = (os.fsencode(text) for text in arguments[1:3])
    old = b""
    if os.path.exists(path):
        with open(path, "rb") as file:
            old = file.read()
    if hashlib.sha256(old).hexdigest() != arguments[3]:
        print(f"{path} has changed since the decision; it was left unchanged", file=sys.stderr)
        print("next: run this again", file=sys.stderr)
        return 1
    _replace(path, with_line(old, target, line))
    return 0


def _replace(path: str, text: bytes) -> None:
    fresh = f"{path}.rocminfra-new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        if os.path.exists(path):
            status = os.stat(path)
            os.fchown(file.fileno(), status.st_uid, status.st_gid)
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
        file.flush()
        os.fsync(file.fileno())
    os.rename(fresh, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
