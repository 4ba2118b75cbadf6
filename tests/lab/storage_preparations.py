"""How a disk and its surroundings get into a state, for the states' table and for other tests."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import storage_signatures as signatures
from storage_room import DISK_BYTES, Disk, Room

Prepare = Callable[[Room, Disk], Mapping[str, str] | None]
# One of this run's own: the kernel mounts no UUID twice, in whatever name space.
UUID = str(uuid.uuid4())
OTHER_UUID = "11111111-2222-4333-8444-555555555555"


def run(*command: str) -> Prepare:
    """Run a command; ``DISK`` in it is the device."""

    def prepare(room: Room, disk: Disk) -> None:
        room.sh('"$@"', *(part.replace("DISK", disk.path) for part in command))

    return prepare


def ours(room: Room, disk: Disk, fs_uuid: str = UUID) -> None:
    """Our file system, not mounted."""
    room.sh('mkfs.xfs -q -L rocm-models -m uuid="$1" "$2"', fs_uuid, disk.path)


def mounted(room: Room, disk: Disk, options: str = "noatime", path: str | None = None) -> None:
    room.sh('mkdir -p "$2"; mount -o "$3" "$1" "$2"', disk.path, path or room.mount_point, options)


def fstab(room: Room, *lines: str) -> None:
    room.sh('printf "%s\\n" "$@" >> /etc/fstab', *lines)


def done(room: Room, disk: Disk) -> None:
    """Everything right."""
    ours(room, disk)
    mounted(room, disk)
    fstab(room, f"UUID={UUID} {room.mount_point} xfs nofail,noatime 0 0")
    room.sh('echo "$1" > "$2/.rocminfra-scratch"', UUID, room.mount_point)


def random_bytes(offset: int, length: int = 4096) -> Prepare:
    def prepare(room: Room, disk: Disk) -> None:
        disk.write(offset, os.urandom(length))

    return prepare


def torn(room: Room, disk: Disk) -> None:
    ours(room, disk)
    disk.write(0, bytes(512))


def interrupted(room: Room, disk: Disk) -> None:
    ours(room, disk)
    room.sh('xfs_db -x -c "sb 0" -c "write -c inprogress 1" "$1" >/dev/null', disk.path)


def came_back_blank(room: Room, disk: Disk) -> None:
    fstab(room, f"UUID={UUID} {room.mount_point} xfs nofail,noatime 0 0")


def in_container(room: Room, disk: Disk) -> None:
    """Mounted in another mount name space only."""
    ours(room, disk)
    script = 'mount --make-rprivate /; mount "$1" "$2"; echo ready; exec cat'
    room.sh('mkdir "$1"', f"{room.place}/container")
    room.start(
        'exec unshare --mount sh -euc "$3" sh "$1" "$2"',
        disk.path,
        f"{room.place}/container",
        script,
    )


def opened(room: Room, disk: Disk) -> None:
    room.start('exec 3<"$1"; echo ready; exec cat', disk.path)


def mounted_elsewhere(room: Room, disk: Disk) -> None:
    ours(room, disk)
    mounted(room, disk, path=f"{room.place}/else where")


def below_a_loop_device(room: Room, disk: Disk) -> None:
    room.attach(Path(disk.path))


def missing(tool: str) -> Prepare:
    """A tool that is not there."""

    def prepare(room: Room, disk: Disk) -> None:
        room.sh('mount --bind /dev/null "$(command -v "$1")"', tool)

    return prepare


def read_only(room: Room, disk: Disk) -> None:
    room.sh('blockdev --setro "$1"', disk.path)


def on_place(script: str) -> Prepare:
    """Our XFS is there, and something is at the mount point (``$1``)."""

    def prepare(room: Room, disk: Disk) -> None:
        ours(room, disk)
        room.sh(script, room.mount_point)

    return prepare


def with_lines(*lines: str) -> Prepare:
    """Our XFS, not mounted, and lines in fstab; ``AT`` is the mount point, ``DISK`` the device."""

    def prepare(room: Room, disk: Disk) -> None:
        ours(room, disk)
        fstab(
            room,
            *(line.replace("AT", room.mount_point).replace("DISK", disk.path) for line in lines),
        )

    return prepare


def but(change: Callable[[Room, Disk], object]) -> Prepare:
    """Everything right, but for one change."""

    def prepare(room: Room, disk: Disk) -> None:
        done(room, disk)
        change(room, disk)

    return prepare


def unmounted(room: Room, disk: Disk) -> None:
    room.sh('umount "$1"', room.mount_point)


def fstab_says(text: str) -> Prepare:
    """All of fstab; ``AT`` is the mount point."""

    def prepare(room: Room, disk: Disk) -> None:
        room.sh('printf "%s\\n" "$1" > /etc/fstab', text.replace("AT", room.mount_point))

    return prepare


def own_partition(change: Callable[[Room, Disk], object]) -> Prepare:
    """A blank partition that is asked for by its path, and something about its disk."""

    def prepare(room: Room, disk: Disk) -> Mapping[str, str]:
        path = partitioned(room, disk)
        change(room, disk)
        return {"device": path}

    return prepare


def mounted_through_the_whole_disk(room: Room, disk: Disk) -> None:
    """The partition's area, found by its offset, as a loop device on the whole disk."""
    room.sh(
        'mkfs.xfs -q "$1p1"; loop=$(losetup --find --show --offset 1048576 "$1");'
        'mkdir "$2"; mount "$loop" "$2"; losetup --detach "$loop"',
        disk.path,
        f"{room.place}/else",
    )


def twice_mounted(room: Room, disk: Disk) -> None:
    room.sh('mount -t tmpfs tmpfs "$1"', room.mount_point)


def only_a_folder(room: Room, disk: Disk) -> None:
    room.sh(
        'mkdir "$1/sub" "$1-"; mount --bind "$1/sub" "$1-"; umount "$1"; mount --move "$1-" "$1"',
        room.mount_point,
    )


def partitioned(room: Room, disk: Disk, count: int = 1) -> str:
    """A GPT of ``count`` partitions over the whole disk; the path of the first."""
    step = (DISK_BYTES // 512 - 2 * 2048) // count
    parts = tuple((2048 + i * step, 2048 + (i + 1) * step - 1) for i in range(count))
    signatures.gpt(disk, DISK_BYTES, parts)
    room.sh('partx --update "$1"', disk.path)
    return f"{disk.path}p1"


def one_partition(prepare: str) -> Prepare:
    """A whole disk with one partition; ``$1`` of the script is the partition."""

    def made(room: Room, disk: Disk) -> None:
        room.sh(prepare, partitioned(room, disk))

    return made


def full(room: Room, disk: Disk) -> None:
    """Not a byte and not a name more fits on it."""
    room.sh(
        'dd if=/dev/zero of="$1/big" bs=1M status=none 2>/dev/null || true;'
        'i=0; while mkdir "$1/d$i" 2>/dev/null; do i=$((i+1)); done',
        room.mount_point,
    )


def shimmed(tool: str, script: str) -> Prepare:
    def prepare(room: Room, disk: Disk) -> None:
        room.shim(tool, script)

    return prepare


def hidden_ext4(tool: str, script: str) -> Prepare:
    """A disk with data, and a tool that lies about it."""

    def prepare(room: Room, disk: Disk) -> None:
        room.sh('mkfs.ext4 -q "$1"', disk.path)
        room.shim(tool, script)

    return prepare
