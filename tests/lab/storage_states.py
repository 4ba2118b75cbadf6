"""The states that a disk and its surroundings can be in, each with what has to be decided.

One table for the tests and for ``docs/storage.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import storage_signatures as signatures
from storage_preparations import (
    OTHER_UUID,
    UUID,
    Prepare,
    below_a_loop_device,
    but,
    came_back_blank,
    done,
    fstab,
    fstab_says,
    full,
    hidden_ext4,
    in_container,
    interrupted,
    missing,
    mounted,
    mounted_elsewhere,
    mounted_through_the_whole_disk,
    on_place,
    one_partition,
    only_a_folder,
    opened,
    ours,
    own_partition,
    partitioned,
    random_bytes,
    read_only,
    run,
    shimmed,
    torn,
    twice_mounted,
    unmounted,
    with_lines,
)
from storage_room import DISK_BYTES, MIB


@dataclass(frozen=True)
class State:
    """One state.

    + name: what it is, for the table
    + decision: ``Keep``, ``Mount``, ``Format`` or ``Refuse``
    + says: what the message has to say
    + prepare: makes it; hands back more ``--data``
    + token: whether the refusal shows a wipe token
    """

    name: str
    decision: str
    says: str
    prepare: Prepare
    token: bool = False

    @property
    def slug(self) -> str:
        return "-".join("".join(c if c.isalnum() else " " for c in self.name).lower().split())


def refused(name: str, says: str, prepare: Prepare, token: bool = False) -> State:
    return State(name, "Refuse", says, prepare, token)


def holds(name: str, says: str, prepare: Prepare) -> State:
    """A disk with something on it: refused, and the token to destroy it is shown."""

    return State(name, "Refuse", says, prepare, token=True)


HOLDING = (
    holds("ext4", "is not blank", run("mkfs.ext4", "-q", "DISK")),
    holds("XFS with another label", "is not blank", run("mkfs.xfs", "-q", "-L", "data", "DISK")),
    holds(
        "XFS with a label of spaces and umlauts",
        "is not blank",
        run("mkfs.xfs", "-q", "-L", "a b ü", "DISK"),
    ),
    holds("MBR partition table", "is not blank", lambda _, disk: signatures.mbr(disk, DISK_BYTES)),
    holds(
        "GPT with two partitions",
        "is not blank",
        lambda _, disk: signatures.gpt(disk, DISK_BYTES, ((2048, 99999), (100000, 200000))),
    ),
    holds("LUKS", "crypto_LUKS", lambda _, disk: signatures.luks(disk)),
    holds("LVM physical volume", "LVM2_member", lambda _, disk: signatures.lvm(disk, DISK_BYTES)),
    holds("md member", "linux_raid_member", lambda _, disk: signatures.md(disk, DISK_BYTES)),
    holds("swap area, not in use", "swap", run("mkswap", "-q", "DISK")),
    holds("ZFS member (a written label)", "zfs_member", lambda _, disk: signatures.zfs(disk)),
    holds("Btrfs member", "btrfs", lambda _, disk: signatures.btrfs(disk, DISK_BYTES)),
    holds("our XFS with its first sector zeroed", "data at byte", torn),
    holds("mkfs that was killed", "mkfs was interrupted", interrupted),
    holds("random bytes at the start", "data at byte 0", random_bytes(0)),
    holds("random bytes in the middle", "data at byte", random_bytes(DISK_BYTES // 2, 8 * MIB)),
    holds("random bytes at the end only", "data at byte", random_bytes(DISK_BYTES - 4096)),
    holds(
        "blkid says blank, wipefs sees ext4",
        "wipefs: ext4",
        hidden_ext4("blkid", "exit 2"),
    ),
    holds(
        "wipefs says blank, blkid sees ext4",
        "blkid: ext4",
        hidden_ext4("wipefs", "echo '{\"signatures\": []}'"),
    ),
)

USED = (
    refused("opened by a process", "is in use", opened),
    refused("our XFS, mounted elsewhere", "is in use", mounted_elsewhere),
    refused("our XFS, mounted in a container", "is in use", in_container),
    refused("below another loop device", "is in use", below_a_loop_device),
    refused("partition whose whole disk is open", "which it is on", own_partition(opened)),
    refused(
        "partition that is mounted through its whole disk",
        "which it is on",
        own_partition(mounted_through_the_whole_disk),
    ),
    refused(
        "disk with two partitions, one of them open",
        "is in use",
        lambda room, disk: (
            partitioned(room, disk, count=2),
            room.start('exec 3<"$1"; echo ready; exec cat', f"{disk.path}p2"),
            None,
        )[-1],
    ),
)

UNKNOWN = (
    refused("blkid fails", "is unknown", shimmed("blkid", "echo broken >&2; exit 4")),
    refused("blkid answers nonsense", "is unknown", shimmed("blkid", "echo hello; exit 0")),
    refused("blkid warns", "is unknown", shimmed("blkid", "echo warning >&2; exit 2")),
    refused("wipefs fails", "is unknown", shimmed("wipefs", "exit 1")),
    refused("wipefs is cut off", "is unknown", shimmed("wipefs", "echo '{\"signatures\": ['")),
    refused("wipefs answers another shape", "is unknown", shimmed("wipefs", "echo '[]'")),
    refused("wipefs is killed", "is unknown", shimmed("wipefs", "kill -9 $$")),
    refused("lsblk fails", "could not be observed", shimmed("lsblk", "exit 32")),
    refused(
        "lsblk leaves disks out",
        "which lsblk does not",
        shimmed("lsblk", "echo '{\"blockdevices\": []}'"),
    ),
    refused("findmnt fails", "could not be observed", shimmed("findmnt", "exit 1")),
    refused(
        "findmnt sees no mounts",
        "disagree",
        shimmed("findmnt", "echo '{\"filesystems\": []}'"),
    ),
)

UNKNOWN += tuple(
    refused(
        f"{tool} is missing",
        "is unknown" if tool in ("blkid", "wipefs") else "could not be",
        missing(tool),
    )
    for tool in ("blkid", "wipefs", "lsblk", "findmnt")
)

UNKNOWN += (
    refused(
        "lsblk tells another size",
        "is not understood",
        shimmed("lsblk", """$REAL "$@" | sed 's/"size": *335544320/"size": 335544321/'"""),
    ),
    refused("python3 is missing", "could not be observed", shimmed("python3", "exit 127")),
    refused(
        "the disk of the partition cannot be probed",
        "is unknown",
        own_partition(
            lambda room, disk: room.shim(
                "wipefs", f'case "$*" in *{disk.path}) exit 1;; esac; exec $REAL "$@"'
            )
        ),
    ),
)

SURROUNDINGS = (
    refused(
        "wrong size", "has the wrong size", lambda _room, _disk: {"expected_size_gib": "5120.0"}
    ),
    refused(
        "too small for XFS", "is too small", lambda room, _: {"device": room.disk(MIB * 64).path}
    ),
    refused("read-only device", "is read-only", read_only),
    refused(
        "a label that XFS cannot have",
        "cannot be the label",
        lambda room, disk: (random_bytes(0)(room, disk), {"label": "much-too-long-label"})[1],
    ),
    refused("a label with an umlaut", "cannot be the label", lambda *_: {"label": "modèle"}),
    refused("no such device", "is not a block device", lambda _room, _disk: {"device": "/dev/vdz"}),
    refused(
        "a file instead of a device", "is not a block device", lambda *_: {"device": "/etc/fstab"}
    ),
    refused(
        "mount point holds files", "holds 1 entries", on_place('mkdir "$1"; touch "$1/weights"')
    ),
    refused(
        "mount point is a symbolic link",
        "is a symbolic link",
        on_place('mkdir "$1.real"; ln -s "$1.real" "$1"'),
    ),
    refused("mount point is a file", "is not a directory", on_place('touch "$1"')),
    refused(
        "fstab mounts the disk elsewhere", "gives", with_lines("DISK /mnt/scratch xfs defaults 0 0")
    ),
    refused(
        "fstab mounts our file system elsewhere, by UUID",
        "gives",
        with_lines(f"UUID={UUID} /data xfs defaults 0 0"),
    ),
    refused(
        "fstab expects another XFS at the mount point",
        "is not the file system that fstab expects",
        with_lines(f"UUID={OTHER_UUID} AT xfs nofail 0 0"),
    ),
    refused(
        "fstab mounts a share of the network at the mount point",
        "mounts something else at",
        with_lines("nas:/models AT nfs noauto 0 0"),
    ),
    refused(
        "fstab mounts a volume that is not there at the mount point",
        "mounts something else at",
        with_lines("/dev/mapper/vg-models AT xfs defaults 0 0"),
    ),
    refused(
        "mounted, and fstab has a share of the network there as well",
        "mounts something else at",
        but(lambda room, disk: fstab(room, f"nas:/x /{room.mount_point} nfs noauto 0 0")),
    ),
    refused(
        "fstab gives the partition away by its PARTUUID",
        "gives",
        own_partition(
            lambda room, disk: room.sh(
                'uuid=$(blkid -p -s PART_ENTRY_UUID -o value "$1p1");'
                'echo "PARTUUID=$uuid /data xfs defaults 0 0" >> /etc/fstab',
                disk.path,
            )
        ),
    ),
    refused("a line of fstab that nobody understands", "one field", with_lines("what")),
    refused(
        "something else is mounted at the mount point",
        "is taken by another device",
        on_place('mkdir "$1"; mount -t tmpfs tmpfs "$1"'),
    ),
    refused("two mounts are stacked on the mount point", "stacked", but(twice_mounted)),
    refused(
        "mounted, but with another label",
        "is not the file system labelled",
        but(lambda room, disk: room.sh('xfs_io -c "label -s data" "$1"', room.mount_point)),
    ),
    refused(
        "only a folder of our file system is mounted there",
        "is not a whole XFS",
        but(only_a_folder),
    ),
)

CONVERGING = (
    State("blank", "Format", "every probe says it is blank", lambda *_: None),
    State("blank again after a power cycle", "Format", UUID, came_back_blank),
    State(
        "blank partition",
        "Format",
        "every probe says",
        lambda room, disk: (one_partition("true")(room, disk), {"device": f"{disk.path}p1"})[1],
    ),
    State("whole disk with one blank partition", "Format", "only partition", one_partition("true")),
    State("our XFS, not mounted, nothing in fstab", "Mount", f"it holds XFS {UUID}", ours),
    State("our XFS, not mounted, fstab right", "Mount", "mount it", but(unmounted)),
    State(
        "whole disk with our XFS on its one partition",
        "Mount",
        "only partition",
        one_partition(f'mkfs.xfs -q -L rocm-models -m uuid={UUID} "$1"'),
    ),
    State(
        "our XFS, mounted by hand",
        "Mount",
        "make the folder below the mount unwritable",
        lambda room, disk: (ours(room, disk), mounted(room, disk))[1],
    ),
    State("mounted, fstab line missing", "Mount", "write the line", but(fstab_says("# none"))),
    State(
        "mounted, fstab line by device name",
        "Mount",
        "replaces in fstab: /dev/disk/by-path/gone",
        but(fstab_says("/dev/disk/by-path/gone AT xfs defaults 0 0")),
    ),
    State(
        "mounted, two fstab lines",
        "Mount",
        "write the line",
        but(lambda room, disk: fstab(room, f"UUID={UUID} {room.mount_point} xfs defaults 0 0")),
    ),
    State(
        "mounted with wrong options",
        "Mount",
        "right options",
        but(lambda room, disk: room.sh('mount -o remount,relatime,atime "$1"', room.mount_point)),
    ),
    State(
        "mounted with noexec, which nobody asked for",
        "Mount",
        "right options",
        but(lambda room, disk: room.sh('mount -o remount,noexec "$1"', room.mount_point)),
    ),
    State(
        "mounted read-only",
        "Mount",
        "right options",
        but(lambda room, disk: room.sh('mount -o remount,ro "$1"', room.mount_point)),
    ),
    State(
        "mounted, sentinel missing",
        "Mount",
        "sentinel",
        but(lambda room, disk: room.sh('rm "$1/.rocminfra-scratch"', room.mount_point)),
    ),
    State(
        "mounted, sentinel of another file system",
        "Mount",
        "sentinel",
        but(lambda room, disk: room.sh('echo other > "$1/.rocminfra-scratch"', room.mount_point)),
    ),
    State(
        "mounted, wrong owner",
        "Mount",
        "owner",
        but(lambda room, disk: room.sh('chown nobody "$1"', room.mount_point)),
    ),
    State(
        "mount point with spaces and umlauts",
        "Format",
        "blank",
        lambda room, _: {"mount_point": f"{room.place}/mein großer Platz"},
    ),
    State("everything right", "Keep", "No changes", done),
    State("everything right, and full", "Keep", "No changes", but(full)),
    State(
        "everything right, and mounted a second time elsewhere",
        "Keep",
        "No changes",
        but(lambda room, disk: mounted(room, disk, path=f"{room.place}/else")),
    ),
)

STATES = (*HOLDING, *USED, *UNKNOWN, *SURROUNDINGS, *CONVERGING)
