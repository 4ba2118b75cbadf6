"""Fail unless the scratch disk is mounted where it should be.

    python3 scratch_guard.py MOUNT_POINT

Runs before Docker and before the engine. ``RequiresMountsFor=`` alone is not enough: it trusts
whatever is mounted, and without a ``.mount`` unit it protects nothing. The storage operation writes
a sentinel with the file system's UUID into the file system, so this check detects both a wrong disk
and a missing mount.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys

SENTINEL = ".rocminfra-scratch"


def unescape(field: str) -> str:
    """Undo the octal escapes of /proc/self/mountinfo (proc(5))."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, char)
    return field


def mounted_device(mountinfo: str, mount_point: str) -> str | None:
    """``MAJOR:MINOR`` of what is mounted on ``mount_point``; the last mount is the visible one."""
    device = None
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) > 4 and unescape(fields[4]) == mount_point:
            device = fields[2]
    return device


def problem(mount_point: str, device: str | None, sentinel: str | None, uuid: str | None) -> str:
    """What is wrong, or an empty string.

    + device: device mounted there, or None
    + sentinel: contents of the sentinel file, or None
    + uuid: UUID of the mounted file system, or None if it cannot be read
    """
    if device is None:
        return f"{mount_point} is not mounted: the scratch disk is missing or was never mounted"
    if sentinel is None:
        return (
            f"{mount_point}/{SENTINEL} is missing: the mounted file system is not the scratch disk"
        )
    if uuid is None:
        return f"the UUID of the file system on {mount_point} (device {device}) cannot be read"
    if uuid != sentinel:
        return f"{mount_point} is file system {uuid}, but its sentinel names {sentinel}"
    return ""


def main(arguments: list[str]) -> int:
    """Run the check; exit code 0 if the scratch disk is mounted, 1 if not, 2 for bad usage."""
    if len(arguments) != 1:
        print("usage: scratch_guard.py MOUNT_POINT", file=sys.stderr)
        return 2
    mount_point = os.path.realpath(arguments[0])
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        device = mounted_device(file.read(), mount_point)
    message = problem(mount_point, device, _sentinel(mount_point), _uuid(device))
    if not message:
        return 0
    print(f"scratch disk: {message}", file=sys.stderr)
    print(
        "next: run the storage task again, or mount it with: mount " + mount_point, file=sys.stderr
    )
    return 1


def _sentinel(mount_point: str) -> str | None:
    try:
        with open(os.path.join(mount_point, SENTINEL), encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _uuid(device: str | None) -> str | None:
    if device is None:
        return None
    major, minor = (int(part) for part in device.split(":"))
    for folder, _, names in os.walk("/dev"):
        if folder.startswith(("/dev/fd", "/dev/pts", "/dev/shm", "/dev/mqueue")):
            continue
        for name in names:
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
            except OSError:
                continue
            if (
                status.st_rdev != os.makedev(major, minor)
                or (status.st_mode & 0o170000) != 0o060000
            ):
                continue
            probe = subprocess.run(
                ["blkid", "-p", "-s", "UUID", "-o", "value", path],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            return probe.stdout.strip() or None
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
