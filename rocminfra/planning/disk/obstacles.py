"""What stands in the way of using a disk as the scratch disk, and no wipe token can change."""

from __future__ import annotations

import re

from rocminfra.failure import Again, Do, Failure, Fault
from rocminfra.planning.disk.arguments import DEVICE, EXPECTED_SIZE, LABEL, MOUNT_POINT
from rocminfra.planning.disk.choice import SMALLEST, mounts_of, size_problem, system_use, uses
from rocminfra.planning.disk.decision import Refuse
from rocminfra.planning.disk.mounting import fstab_lines, fstab_uuid, mounts_at
from rocminfra.planning.disk.observation import (
    PROBES,
    Desired,
    Device,
    Finding,
    FstabLine,
    Observed,
)

# What blkid and wipefs tell alike, and what mkfs.xfs takes: -L, mkfs.xfs(8).
_LABEL = re.compile(r"[A-Za-z0-9_.-]{1,12}")
# Names of disks and partitions that change from boot to boot; a volume's name would not.
_DISK_PATH = re.compile(
    r"/dev/(disk/by-[a-z]+/[^/]+|(sd|vd|xvd)[a-z]+[0-9]*|nvme[0-9]+n[0-9]+(p[0-9]+)?)"
)
# Kinds of lsblk that a file system can be made on; of md it is "raid0", "raid1"…
_KINDS = frozenset(("disk", "part", "loop", "lvm", "mpath", "crypt"))
_TABLES = frozenset(("gpt", "dos", "PMBR"))


def label_problem(desired: Desired) -> Refuse | None:
    """A label that mkfs.xfs refuses, or that would not be known again."""
    if _LABEL.fullmatch(desired.label):
        return None
    return Refuse(
        Failure(
            Fault.LABEL_INVALID,
            f"{desired.label!r} cannot be the label of the scratch disk",
            ("an XFS label has at most 12 bytes; here letters, digits, dots, dashes and _",),
            Do("set ", LABEL, " to another one, such as rocm-models"),
        )
    )


def mount_point_problem(observed: Observed, desired: Desired) -> Refuse | None:
    place = observed.mount_point
    path = desired.mount_point
    if place.real != path:
        return Refuse(
            Failure(
                Fault.MOUNT_POINT_UNSAFE,
                f"mount point {path} is a symbolic link, or lies behind one",
                (f"it leads to {place.real}",),
                Do("set ", MOUNT_POINT, f" to {place.real}, or remove the link"),
            )
        )
    if not place.exists:
        return None
    if not place.folder:
        return Refuse(
            Failure(
                Fault.MOUNT_POINT_UNSAFE,
                f"mount point {path} is not a directory",
                ("it exists as something else",),
                Do(f"move it away: mv {path} {path}.old"),
            )
        )
    if place.count and not mounts_at(observed, path):
        names = ", ".join(place.names)
        return Refuse(
            Failure(
                Fault.MOUNT_POINT_NOT_EMPTY,
                f"mount point {path} holds {place.count} entries on the disk below it",
                (
                    f"first entries: {names}",
                    "mounting over them would hide them and keep their space",
                ),
                Do(f"move them away: mv {path} {path}.old"),
            )
        )
    return None


def fstab_problem(observed: Observed, desired: Desired, device: Device) -> Refuse | None:
    ours = {line.source for line in fstab_lines(observed.fstab, desired.mount_point)}
    for line in observed.fstab:
        named = _named_by(observed, line)
        if line.target != desired.mount_point and line.source in ours:
            return Refuse(
                Failure(
                    Fault.FSTAB_CONFLICT,
                    f"/etc/fstab mounts {line.source} both at {line.target} and at "
                    f"{desired.mount_point}",
                    (f"line: {line.source} {line.target} {line.kind} {','.join(line.options)}",),
                    Do("remove one of the two lines from /etc/fstab"),
                ),
                device,
            )
        if line.target != desired.mount_point and device in named:
            return Refuse(
                Failure(
                    Fault.FSTAB_CONFLICT,
                    f"/etc/fstab gives {device.path} to {line.target}, "
                    f"not to {desired.mount_point}",
                    (f"line: {line.source} {line.target} {line.kind} {','.join(line.options)}",),
                    Do(
                        "remove that line from /etc/fstab, or set ",
                        MOUNT_POINT,
                        f" to {line.target}",
                    ),
                ),
                device,
            )
        if line.target == desired.mount_point and named and device not in named:
            return Refuse(
                Failure(
                    Fault.FSTAB_CONFLICT,
                    f"/etc/fstab gives {desired.mount_point} to {named[0].path}, "
                    f"not to {device.path}",
                    (f"line: {line.source} {line.target} {line.kind} {','.join(line.options)}",),
                    Do("set ", DEVICE, f" to {named[0].path}, or remove that line from /etc/fstab"),
                ),
                device,
            )
        strange = device not in named and not _replaceable(line, desired.label)
        if line.target == desired.mount_point and strange:
            return Refuse(
                Failure(
                    Fault.FSTAB_CONFLICT,
                    f"/etc/fstab mounts something else at {desired.mount_point}",
                    (f"line: {line.source} {line.target} {line.kind} {','.join(line.options)}",),
                    Do(
                        "remove that line from /etc/fstab if it is not needed, or set ",
                        MOUNT_POINT,
                        " to another folder",
                    ),
                ),
                device,
            )
    return None


def _replaceable(line: FstabLine, label: str) -> bool:
    """Whether it can be the line of a scratch file system that is gone, and not somebody's data."""
    gone = line.device is None and _DISK_PATH.fullmatch(line.source) is not None
    ours = line.source.upper().startswith("UUID=") or line.source == f"LABEL={label}"
    return line.kind == "xfs" and (gone or ours)


def disk_problem(observed: Observed, desired: Desired, device: Device) -> Refuse | None:
    """What no token can permit."""
    disk = observed.disk_of(device)
    family = dict.fromkeys((device, disk, *observed.partitions(device)))
    problems = tuple(problem for member in family for problem in member.problems)
    if device.parent is not None and disk is device:
        problems += (f"the disk that {device.path} is on is not known",)
    if problems:
        return Refuse(
            Failure(
                Fault.DISK_NOT_UNDERSTOOD,
                f"{device.path} is not understood",
                problems,
                Do("lsblk on the host"),
            ),
            device,
        )
    for member in (device, disk):
        if member.kind not in _KINDS and not member.kind.startswith("raid"):
            what = f"{member.path} is of kind {member.kind}"
            return Refuse(
                Failure(
                    Fault.DISK_NOT_UNDERSTOOD,
                    what,
                    (),
                    Do("set ", DEVICE, " to a disk"),
                ),
                device,
            )
    system = system_use(observed, device)
    if system is not None:
        return Refuse(
            Failure(
                Fault.DISK_OF_THE_SYSTEM,
                f"{device.path} belongs to the running system",
                (system,),
                Do("set ", DEVICE, " to another disk"),
            ),
            device,
        )
    used = uses(observed, device)
    if used:
        mounts = mounts_of(observed, device)
        free = f"umount {mounts[0].target}" if mounts else "stop what uses it"
        return Refuse(
            Failure(
                Fault.DISK_IN_USE,
                f"{device.path} is in use",
                used,
                Again(f"{free}, then"),
            ),
            device,
        )
    for member in family:
        if member.read_only:
            free = f"blockdev --setrw {member.path}, if that is right"
            return Refuse(
                Failure(Fault.DISK_READ_ONLY, f"{member.path} is read-only", (), Do(free)), device
            )
    if device.size < SMALLEST:
        return Refuse(
            Failure(
                Fault.DISK_TOO_SMALL,
                f"{device.path} is too small for XFS",
                (f"it has {device.size} bytes, and mkfs.xfs needs {SMALLEST}",),
                Do("set ", DEVICE, " to a larger disk"),
            ),
            device,
        )
    size = size_problem(device, desired)
    if size is not None:
        return Refuse(
            Failure(
                Fault.DISK_WRONG_SIZE,
                f"{device.path} has the wrong size",
                (size,),
                Do("set ", EXPECTED_SIZE, ", or ", DEVICE, ", to what is right"),
            ),
            device,
        )
    failed = tuple(
        f"{look.probe}: {look.evidence}" + ("" if member is device else f" ({member.path})")
        for member in family
        for look in map(member.look, PROBES)
        if look.finding is Finding.UNKNOWN
    )
    if failed:
        return Refuse(
            Failure(
                Fault.DISK_CONTENT_UNKNOWN,
                f"what {device.path} holds is unknown",
                failed,
                Again("repair what is named above (no token permits wiping it), then"),
            ),
            device,
        )
    return None


def twin_problem(observed: Observed, device: Device) -> Refuse | None:
    """Whether another device shares the identity, or a file system's UUID, with this one."""
    disk = observed.disk_of(device)
    # Members of an array or a pool share its UUID; of file systems only ours is mounted by it.
    uuids = {s.uuid for s in device.signatures if s.uuid is not None and s.kind == "xfs"}
    twins = [
        f"{other.path} has the same identity {other.identity}"
        for other in observed.devices
        if other is not disk and other.parent is None and _same_disk(disk, other)
    ]
    twins += [
        f"{other.path} holds a file system with the same UUID {s.uuid}"
        for other in observed.devices
        if other is not device
        for s in other.signatures
        if s.uuid in uuids and s.kind == "xfs"
    ]
    if disk is not device:
        table = {
            s.kind for look in (disk.look("blkid"), disk.look("wipefs")) for s in look.signatures
        }
        twins += [f"{disk.path}, which it is on, holds {kind}" for kind in sorted(table - _TABLES)]
        if not table:
            twins.append(f"{disk.path}, which it is on, shows no partition table")
    if not twins:
        return None
    return Refuse(
        Failure(
            Fault.DISK_TWIN,
            f"{device.path} cannot be told apart from another disk",
            tuple(twins),
            Do("lsblk -o +SERIAL,WWN,UUID on the host; detach the copy, or free one of the two"),
        ),
        device,
    )


def uuid_problem(observed: Observed, desired: Desired, device: Device, uuid: str) -> Refuse | None:
    """Whether a UUID that ``device`` is to get may belong to another file system."""
    own = (device, *observed.partitions(device))
    others = [other for other in observed.devices if other not in own]
    holders = tuple(
        f"{other.path} holds a file system with it"
        for other in others
        if any((s.uuid or "").lower() == uuid for s in other.signatures)
    )
    # What fstab expects may be on a disk that could not be read.
    if fstab_uuid(observed, desired.mount_point) == uuid:
        holders += tuple(
            f"{other.path} may hold it: {look.evidence}"
            for other in others
            if not mounts_of(observed, other)
            for look in other.looks
            if look.probe == "blkid" and look.finding is Finding.UNKNOWN
        )
    if not holders:
        return None
    return Refuse(
        Failure(
            Fault.UUID_TAKEN,
            f"{device.path} would get UUID {uuid}, which another disk has or may have",
            holders,
            Do(
                "lsblk -o +UUID on the host; set ",
                DEVICE,
                " to the disk that is meant, or remove the "
                f"line for {desired.mount_point} from /etc/fstab",
            ),
        ),
        device,
    )


def _same_disk(one: Device, other: Device) -> bool:
    if one.identity.wwn and other.identity.wwn:
        return one.identity.wwn == other.identity.wwn
    return one.identity.serial is not None and one.identity.serial == other.identity.serial


def _named_by(observed: Observed, line: FstabLine) -> tuple[Device, ...]:
    key, _, value = line.source.partition("=")
    value = value.strip('"')
    if key == "PARTUUID":
        return tuple(d for d in observed.devices if (d.part_uuid or "").lower() == value.lower())
    if key == "PARTLABEL":
        return tuple(d for d in observed.devices if d.part_label == value)
    if key == "ID":
        return tuple(d for d in observed.devices if f"/dev/disk/by-id/{value}" in d.by_id)
    if key == "UUID":
        return tuple(
            d
            for d in observed.devices
            if any((s.uuid or "").lower() == value.lower() for s in d.signatures)
        )
    if key == "LABEL":
        return tuple(d for d in observed.devices if any(s.label == value for s in d.signatures))
    device = observed.device(line.device)
    return () if device is None else (device,)
