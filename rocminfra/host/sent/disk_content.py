"""Inspect one block device that has no known users, and print the result as JSON.

    python3 disk_content.py /dev/vdc 252:32

The result has its size, write protection, whether samples of the contents are zero, whether an XFS
on it is complete, whether the kernel grants an exclusive open, and which processes, namespaces and
loop devices use it. It only reads; an exclusive open for reading changes nothing.

Standard library only, and no single quote in it: this file is sent to the host as it is.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import struct
import sys
from typing import Any

EDGE_BYTES = 4 << 20
SAMPLE_BYTES = 64 << 10
SAMPLES = 64
BLKROGET = 0x125E  # linux/fs.h


def look_into(path: str, number: str) -> dict[str, Any]:
    """Everything about the device at ``path``, which must have ``number``."""
    seen: dict[str, Any] = {"users": users(number)}
    descriptor = os.open(path, os.O_RDONLY)
    if number_of(f"/proc/self/fd/{descriptor}") != number:
        return {"error": f"{path} is not device {number}"}
    size = os.lseek(descriptor, 0, os.SEEK_END)
    seen["size"] = size
    flag = fcntl.ioctl(descriptor, BLKROGET, struct.pack("i", 0))
    seen["read_only"] = bool(struct.unpack("i", flag)[0])
    seen["data_at"] = first_data(descriptor, size)
    head = os.pread(descriptor, 512, 0)
    # xfs_dsb, fs/xfs/libxfs/xfs_format.h: sb_inprogress is byte 126, cleared when mkfs is done.
    seen["xfs_in_progress"] = head[126] != 0 if head[:4] == b"XFSB" else None
    os.close(descriptor)
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
        seen["exclusive"] = "free"
    except OSError as error:
        seen["exclusive"] = str(error)
    return seen


def first_data(descriptor: int, size: int) -> int | None:
    """Offset of the first non-zero byte of the samples, or None.

    Samples are the first and the last 4 MiB and 64 samples of 64 KiB between them, always at the
    same offsets. A device smaller than all of them together is read completely.
    """
    for start, length in spans(size):
        position = start
        while position < start + length:
            part = os.pread(descriptor, min(1 << 20, start + length - position), position)
            if not part:
                raise OSError(f"short read at {position}")
            rest = part.lstrip(b"\0")
            if rest:
                return position + len(part) - len(rest)
            position += len(part)
    return None


def spans(size: int) -> list[tuple[int, int]]:
    """Offset and length of every sample of a device with ``size`` bytes."""
    edge = min(EDGE_BYTES, size)
    step = (size - 2 * edge) // (SAMPLES + 1)
    if step <= SAMPLE_BYTES:
        return [(0, size)]
    between = [(edge + (i + 1) * step // 4096 * 4096, SAMPLE_BYTES) for i in range(SAMPLES)]
    return [(0, edge), *between, (size - edge, edge)]


def number_of(path: str) -> str | None:
    """``MAJOR:MINOR`` of the block device at ``path``, following links."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISBLK(status.st_mode):
        return None
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def users(number: str) -> list[str]:
    """Who uses the device: open files, other mount namespaces, loop devices on top of it.

    Raises OSError when the files of a process cannot be listed. An unreadable namespace does not
    matter: the exclusive open detects every mount, and this only names the user.
    """
    found = set()
    spaces = {os.readlink("/proc/self/ns/mnt")}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        try:
            who = text(f"/proc/{pid}/comm") + f" (pid {pid})"
            files = [f"/proc/{pid}/fd/{name}" for name in os.listdir(f"/proc/{pid}/fd")]
            if any(number_of(file) == number for file in files):
                found.add(f"opened by {who}")
            if is_mounted(pid, number, spaces):
                found.add(f"mounted in the mount namespace of {who}")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
    for name in os.listdir("/sys/block"):
        backing = f"/sys/block/{name}/loop/backing_file"
        if os.path.exists(backing) and number_of(text(backing)) == number:
            found.add(f"backs {name}")
    return sorted(found)


def is_mounted(pid: str, number: str, spaces: set[str]) -> bool:
    """Whether a process in a namespace not yet in ``spaces`` has the device mounted."""
    try:
        space = os.readlink(f"/proc/{pid}/ns/mnt")
        if space in spaces:
            return False
        spaces.add(space)
        lines = text(f"/proc/{pid}/mountinfo").split("\n")
    except PermissionError:
        return False
    return any(line.split(" ", 3)[2:3] == [number] for line in lines)


def text(path: str) -> str:
    """Contents of a small file, without the trailing newline."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read().rstrip("\n")


def main(arguments: list[str]) -> int:
    """Print the document, even for a failed inspection."""
    if len(arguments) != 2:
        print("usage: disk_content.py DEVICE MAJOR:MINOR", file=sys.stderr)
        return 2
    try:
        seen = look_into(*arguments)
    except OSError as error:
        seen = {"error": str(error)}
    print(json.dumps(seen, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
