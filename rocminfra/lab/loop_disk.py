"""The scratch disk: a sparse file behind a loop device."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab.commands import run, succeeds

FILE = "scratch.img"
LOOP_MAJOR = 7  # linux/major.h
ATTEMPTS = 10
_DELETED = " (deleted)"


@dataclass(frozen=True)
class Loop:
    """A loop device.

    + name: such as ``loop0``
    + backing: file behind it, as the kernel names it
    """

    name: str
    backing: str

    @property
    def path(self) -> str:
        return f"/dev/{self.name}"


def make(folder: Path, size_gib: int) -> Loop:
    """A sparse file of ``size_gib`` in ``folder`` and a loop device on it.

    Raises :class:`FailedError` when there is no loop device, or the file system takes no such file.
    """
    file = folder / FILE
    try:
        with file.open("xb") as stream:
            os.truncate(stream.fileno(), size_gib * 1024**3)
    except OSError as error:
        raise FailedError(
            Fault.LAB_DISK,
            f"the file system of {folder} takes no sparse file of {size_gib} GiB: {error.strerror}",
            next=Do("rocminfra lab up --disk-gib 512, or put /var/lib on ext4 or XFS"),
        ) from None
    return _attach(file)


def attached(below: Path) -> tuple[Loop, ...]:
    """Loop devices whose file is, or was, below the folder."""
    prefix = f"{below}/"
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            text = backing.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
        except OSError:  # detached meanwhile
            continue
        if text.startswith(prefix):
            name = backing.parent.parent.name
            found.append(Loop(name, text.removesuffix(_DELETED)))
    return tuple(sorted(found, key=lambda loop: int(loop.name.removeprefix("loop"))))


def detach(loop: Loop) -> None:
    """Detach ``loop``; while something still has it open, the kernel does so when it is closed."""
    succeeds(["losetup", "--detach", loop.path])


def make_blank(folder: Path, loop: Loop, size_gib: int) -> None:
    """Make the disk read as zeros again, partitions gone; the device stays the same.

    Raises :class:`FailedError` when something still uses it; nothing has been changed then.
    """
    try:
        os.close(os.open(loop.path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        raise FailedError(
            Fault.LAB_DISK,
            f"the disk is in use: {error.strerror}",
            next=Do("unmount it, or take the droplet down"),
        ) from None
    os.truncate(folder / FILE, 0)
    os.truncate(folder / FILE, size_gib * 1024**3)
    run(["blockdev", "--flushbufs", loop.path])
    # The kernel forgets the partitions of the table that is gone; there may have been none.
    succeeds(["partx", "--delete", loop.path])


def _attach(file: Path) -> Loop:
    hint = "losetup --find, to see whether this machine has loop devices (modprobe loop)"
    for left in reversed(range(ATTEMPTS)):
        loop = Loop(Path(run(["losetup", "--find"], next_step=hint).strip()).name, str(file))
        _make_node(loop)
        try:
            run(["losetup", "--partscan", loop.path, str(file)], next_step=hint)
        except FailedError:
            # Somebody else may have taken the device between the two commands.
            taken = Path(f"/sys/block/{loop.name}/loop/backing_file").exists()
            if not taken or not left:
                raise
            continue
        return loop
    raise FailedError(Fault.LAB_DISK, "no loop device is free", next=Do(hint))


def _make_node(loop: Loop) -> None:
    """Without devtmpfs, as in some containers, only the first eight have a node."""
    path = Path(loop.path)
    if not path.exists():
        number = os.makedev(LOOP_MAJOR, int(loop.name.removeprefix("loop")))
        os.mknod(path, 0o660 | stat.S_IFBLK, number)
