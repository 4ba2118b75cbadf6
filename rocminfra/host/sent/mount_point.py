"""Create a mount point that is not writable while nothing is mounted on it.

    python3 mount_point.py [--below] DIRECTORY

With --below the directory may contain files: something is already mounted over them.

It gets mode 0555 and, where the underlying file system supports it, the immutable flag. Otherwise,
a service that starts without its disk would fill the root disk.

Standard library only: this file is sent to the host as it is.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys

FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_IMMUTABLE_FL = 0x10
# Errors of file systems without the flag: tmpfs, overlayfs, NFS…
NO_FLAG = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def protect(path: str, files: bool = False) -> None:
    """Make ``path`` an unwritable directory; raises OSError on failure.

    + files: whether it may contain files
    """
    os.makedirs(path, mode=0o755, exist_ok=True)
    if os.path.realpath(path) != path:
        raise OSError(f"{path} is behind a symbolic link")
    if os.path.ismount(path):
        raise OSError(f"something is now mounted at {path}")
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        names = os.listdir(descriptor)
        if names and not files:
            raise OSError(f"{path} now contains files: {', '.join(sorted(names)[:5])}")
        _immutable(descriptor, False)
        os.fchmod(descriptor, 0o555)
        _immutable(descriptor, True)
    finally:
        os.close(descriptor)


def _immutable(descriptor: int, wanted: bool) -> None:
    try:
        answer = fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, struct.pack("l", 0))
        flags = struct.unpack("l", answer)[0]
        changed = flags | FS_IMMUTABLE_FL if wanted else flags & ~FS_IMMUTABLE_FL
        if changed != flags:
            fcntl.ioctl(descriptor, FS_IOC_SETFLAGS, struct.pack("l", changed))
    except OSError as error:
        if error.errno not in NO_FLAG:
            raise


def main(arguments: list[str]) -> int:
    """Return 0 on success, 1 on failure, 2 for bad usage."""
    below = arguments[:1] == ["--below"]
    if len(arguments) != 1 + below:
        print("usage: mount_point.py [--below] DIRECTORY", file=sys.stderr)
        return 2
    try:
        protect(arguments[-1], files=below)
    except OSError as error:
        print(f"mount point: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
