"""Make a mount point that nothing can be written into while nothing is mounted on it.

    python3 mount_point.py [--below] DIRECTORY

With --below the directory may hold files: something has been mounted over them already.

Mode 0555, and immutable where the file system below has that flag: else a service that starts
without its disk fills the root disk.

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
# What file systems without the flag answer: tmpfs, overlayfs, NFS…
NO_FLAG = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def protect(path: str, files: bool = False) -> None:
    """Make ``path`` an unwritable directory; raises OSError when it cannot be.

    + files: whether it may hold any
    """
    os.makedirs(path, mode=0o755, exist_ok=True)
    if os.path.realpath(path) != path:
        raise OSError(f"{path} lies behind a symbolic link")
    if os.path.ismount(path):
        raise OSError(f"something is mounted at {path} by now")
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        names = os.listdir(descriptor)
        if names and not files:
            raise OSError(f"{path} holds files by now: {', '.join(sorted(names)[:5])}")
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
    """Exit code 0 when it is so, 1 when it cannot be, 2 for bad usage."""
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
