"""Print what wiping a disk would destroy: used bytes and the newest files, as JSON.

    unshare --mount python3 disk_preview.py /dev/vdc ext4 [/dev/vdd1 xfs …]

The file system is mounted read-only and without replaying its journal, in a separate mount
namespace: nothing is written, and nothing stays mounted, even if this program is killed.

Standard library only: this file is sent to the host as it is.
"""

from __future__ import annotations

import heapq
import json
import os
import subprocess
import sys
import time
from typing import Any

# Options that keep the kernel from writing, including from replaying a journal (xfs(5), ext4(5)…).
# A read-only mount of ext4 still finishes deletions (ext4_orphan_cleanup), so ext4 goes through a
# read-only loop device, which the kernel frees with the mount.
OPTIONS = {
    "xfs": "ro,norecovery,nouuid",
    "ext4": "ro,noload,loop",
    "ext3": "ro,noload,loop",
    "ext2": "ro,loop",
    "btrfs": "ro,rescue=nologreplay,loop",
    "vfat": "ro,loop",
    "iso9660": "ro",
}
# A folder that every system has. Only this process's namespace sees the mount on it.
PLACE = "/mnt"
NEWEST = 5
MOST_ENTRIES = 50_000
DEADLINE_S = 10


def preview(device: str, kind: str) -> dict[str, Any]:
    """The contents of ``device``; ``problem`` says why they are unknown."""
    seen: dict[str, Any] = {"device": device, "used": None, "newest": [], "problem": None}
    if kind not in OPTIONS:
        seen["problem"] = f"the contents of {kind} cannot be listed"
        return seen
    options = f"{OPTIONS[kind]},nodev,nosuid,noexec"
    command = ["mount", "-t", kind, "-o", options, device, PLACE]
    mounted = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if mounted.returncode != 0:
        seen["problem"] = mounted.stderr.strip().splitlines()[-1] if mounted.stderr else "no mount"
        return seen
    try:
        size = os.statvfs(PLACE)
        seen["used"] = (size.f_blocks - size.f_bfree) * size.f_frsize
        seen["newest"] = newest(PLACE)
    except OSError as error:
        seen["problem"] = str(error)
    subprocess.run(["umount", PLACE], timeout=60, check=True)
    return seen


def newest(top: str) -> list[str]:
    """Names of the newest files among those that can be checked in a few seconds."""
    found: list[tuple[float, str]] = []
    deadline = time.monotonic() + DEADLINE_S
    left = MOST_ENTRIES
    folders = [top]
    while folders and left > 0 and time.monotonic() < deadline:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                left -= 1
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    continue
                age = entry.stat(follow_symlinks=False).st_mtime
                heapq.heappush(found, (age, os.path.relpath(entry.path, top)))
                if len(found) > NEWEST:
                    heapq.heappop(found)
    return [name for _, name in sorted(found, reverse=True)]


def main(arguments: list[str]) -> int:
    """Print a list of previews, one per pair of device and kind."""
    pairs = zip(arguments[::2], arguments[1::2])
    print(json.dumps([preview(device, kind) for device, kind in pairs]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
