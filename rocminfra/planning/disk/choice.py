"""Which disk is the scratch disk.

By path when one is given, else by rule: the disk that is already mounted there, the one that
fstab names, the one that carries our label, or the only disk that nothing else uses. More than
one is a refusal, and every other disk gets its reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.failure import Do, Failure, Fault
from rocminfra.planning.disk.arguments import DEVICE, EXPECTED_SIZE
from rocminfra.planning.disk.observation import Desired, Device, Finding, Mount, Observed, Signature

SIZE_TOLERANCE = 0.05
# xfsprogs 5.19 and later refuse less (mkfs.xfs(8)).
SMALLEST = 300 * 1024**2
SYSTEM_MOUNTS = frozenset(
    ["/", "/boot", "/boot/efi", "/boot/firmware", "/efi", "/etc", "/home", "/nix", "/opt"]
) | frozenset(["/root", "/srv", "/sysroot", "/tmp", "/usr", "/var", "/var/lib", "/var/log"])
# cloud-init's NoCloud and ConfigDrive data sources look for these labels.
CONFIG_LABELS = frozenset(("config-2", "cidata"))
CONFIG_KINDS = frozenset(("iso9660", "udf"))


@dataclass(frozen=True)
class Rejected:
    """A disk that was not chosen, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class Chosen:
    """The disk, why it is the one, and why the others are not."""

    device: Device
    reason: str
    rejected: tuple[Rejected, ...] = ()


def choose(observed: Observed, desired: Desired) -> Chosen | Failure:
    """The scratch disk, or why there is none."""
    if desired.device != "auto":
        return _by_path(observed, desired)
    for known in (_mounted(observed, desired), _in_fstab(observed, desired)):
        if isinstance(known, Failure):
            return known
        if known is not None:
            return known
    candidates, rejected = _candidates(observed, desired)
    elsewhere = [
        d for d in observed.devices if _has_label(d, desired.label) and d not in candidates
    ]
    if elsewhere:
        return Failure(
            Fault.LABELLED_DISK_UNUSABLE,
            f"{elsewhere[0].path} carries the label {desired.label}, but cannot be chosen",
            tuple(str(item) for item in rejected),
            Do(
                f"free it (is it mounted elsewhere? findmnt {elsewhere[0].path}), "
                "or name another disk with ",
                DEVICE,
            ),
        )
    labelled = [d for d in candidates if _has_label(d, desired.label)]
    if len(labelled) == 1:
        others = tuple(
            Rejected(d.path, f"another disk carries the label {desired.label}")
            for d in candidates
            if d is not labelled[0]
        )
        reason = f"it carries the label {desired.label}"
        return Chosen(labelled[0], reason, (*rejected, *others))
    if len(candidates) == 1:
        return Chosen(candidates[0], "it is the only disk that nothing uses", rejected)
    evidence = tuple(str(item) for item in rejected)
    if not candidates:
        return Failure(
            Fault.NO_DISK_FITS,
            "no disk can be the scratch disk",
            evidence or ("this host shows no disks at all",),
            Do("lsblk on the host; then name the disk with ", DEVICE),
        )
    evidence += tuple(f"{d.path}: could be it ({describe(d)})" for d in candidates)
    return Failure(
        Fault.SEVERAL_DISKS_FIT,
        f"{len(candidates)} disks could be the scratch disk, and the choice is not guessed",
        evidence,
        Do("name one with ", DEVICE, ", or its size with ", EXPECTED_SIZE),
    )


def uses(observed: Observed, device: Device) -> tuple[str, ...]:
    """What uses ``device``, anything made of it, or all of the disk it is on; empty for nothing.

    Who has a whole disk open can write into every partition of it, unseen by the partition.
    """
    found: list[str] = []
    for member in _descendants(observed, device):
        where = "" if member is device else f" ({member.path})"
        found += _own_uses(observed, member, where)
        busy = [look for look in member.looks if look.finding is Finding.BUSY]
        found += [f"{look.probe}: {look.evidence}{where}" for look in busy if not member.users]
    disk = observed.disk_of(device)
    if disk is not device:
        # Its exclusive open says nothing: any mounted partition of it keeps it busy.
        found += _own_uses(observed, disk, f" ({disk.path}, which it is on)")
    return tuple(dict.fromkeys(found))


def _own_uses(observed: Observed, device: Device, where: str) -> list[str]:
    found = [f"mounted at {m.target}{where}" for m in mounts_of(observed, device)]
    if device.number in observed.swaps:
        found.append(f"used as swap{where}")
    built = [other.name for other in observed.devices if device.name in other.slaves]
    found += [f"held by {name}{where}" for name in dict.fromkeys((*device.holders, *built))]
    return found + [f"{user}{where}" for user in device.users]


def system_use(observed: Observed, device: Device) -> str | None:
    """How the disk that ``device`` is on belongs to the running system, or None."""
    disk = observed.disk_of(device)
    for member in _descendants(observed, disk):
        for mount in mounts_of(observed, member):
            if mount.target in SYSTEM_MOUNTS:
                return f"it is part of what is mounted at {mount.target}"
        if member.number in observed.swaps:
            return "it is part of the swap space"
    if any(_is_config_drive(member) for member in (disk, *observed.partitions(disk))):
        return "it is the config drive"
    return None


def mounts_of(observed: Observed, device: Device) -> tuple[Mount, ...]:
    """Where ``device`` itself is mounted."""
    return tuple(m for m in observed.mounts if m.number == device.number)


def describe(device: Device) -> str:
    """Size and contents in a few words."""
    kinds = ", ".join(
        s.kind + (f" labelled {s.label!r}" if s.label else "") for s in device.signatures
    )
    return f"{device.size / 1024**3:.1f} GiB, {kinds or 'no signature'}"


def size_problem(device: Device, desired: Desired) -> str | None:
    """How the size differs from the expected one by more than 5 %, or None."""
    if desired.expected_size is None:
        return None
    if abs(device.size - desired.expected_size) <= SIZE_TOLERANCE * desired.expected_size:
        return None
    return (
        f"its size is {device.size / 1024**3:.1f} GiB, and {desired.expected_size / 1024**3:.1f} "
        f"GiB is expected (5 % tolerance)"
    )


def _by_path(observed: Observed, desired: Desired) -> Chosen | Failure:
    device = observed.named(desired.device)
    if device is None:
        return Failure(
            Fault.DEVICE_NOT_FOUND,
            f"{desired.device} is not a block device of this host",
            tuple(f"{d.path}: {describe(d)}" for d in observed.devices),
            Do("lsblk on the host; then set ", DEVICE),
        )
    partitions = observed.partitions(device)
    if len(partitions) == 1 and not mounts_of(observed, device):
        reason = f"it is the only partition of {desired.device}"
        return Chosen(partitions[0], reason)
    return Chosen(device, "it is the one that was asked for")


def _mounted(observed: Observed, desired: Desired) -> Chosen | None:
    mounts = [m for m in observed.mounts if m.target == desired.mount_point]
    device = observed.device(mounts[-1].number) if mounts else None
    if device is None:
        return None
    return _settled(observed, device, f"it is mounted at {desired.mount_point}")


def _in_fstab(observed: Observed, desired: Desired) -> Chosen | Failure | None:
    uuids = {
        line.source.removeprefix("UUID=").strip('"').lower()
        for line in observed.fstab
        if line.target == desired.mount_point and line.source.startswith("UUID=")
    }
    found = [d for d in observed.devices if any((s.uuid or "").lower() in uuids for s in _xfs(d))]
    if not uuids or not found:
        return None
    if len(found) > 1:
        return Failure(
            Fault.FSTAB_CONFLICT,
            f"fstab's line for {desired.mount_point} fits {len(found)} devices",
            tuple(f"{d.path}: {describe(d)}" for d in found),
            Do("detach the copy, or give it another UUID (xfs_admin -U generate)"),
        )
    return _settled(observed, found[0], f"fstab names it for {desired.mount_point}")


def _settled(observed: Observed, device: Device, reason: str) -> Chosen:
    rejected = tuple(
        Rejected(d.path, f"{device.path} is the one: {reason}")
        for d in observed.devices
        if d.parent is None and d.number not in (device.number, device.parent)
    )
    return Chosen(device, reason, rejected)


def _candidates(
    observed: Observed, desired: Desired
) -> tuple[tuple[Device, ...], tuple[Rejected, ...]]:
    candidates: list[Device] = []
    rejected: list[Rejected] = []
    for disk in observed.devices:
        if disk.parent is not None:
            continue
        partitions = observed.partitions(disk)
        target = partitions[0] if len(partitions) == 1 else disk
        reason = _objection(observed, desired, disk, target)
        if reason is None:
            candidates.append(target)
        else:
            rejected.append(Rejected(disk.path, reason))
    return tuple(candidates), tuple(rejected)


def _objection(observed: Observed, desired: Desired, disk: Device, target: Device) -> str | None:
    if disk.kind != "disk":
        return f"it is of kind {disk.kind}, and only whole disks are chosen by rule"
    system = system_use(observed, disk)
    if system is not None:
        return system
    used = uses(observed, disk)
    if used:
        return "; ".join(used)
    if disk.removable:
        return "it is removable"
    if disk.read_only:
        return "it is read-only"
    if target.size < SMALLEST:
        return f"it is too small for XFS ({target.size} bytes)"
    return size_problem(target, desired)


def _descendants(observed: Observed, device: Device) -> tuple[Device, ...]:
    found = [device]
    for member in found:
        found += [
            other
            for other in observed.devices
            if (other.parent == member.number or member.name in other.slaves) and other not in found
        ]
    return tuple(found)


def _is_config_drive(device: Device) -> bool:
    return any(
        s.kind in CONFIG_KINDS or (s.label or "").lower() in CONFIG_LABELS
        for s in device.signatures
    )


def _xfs(device: Device) -> tuple[Signature, ...]:
    return tuple(s for s in device.signatures if s.kind == "xfs")


def _has_label(device: Device, label: str) -> bool:
    return any(s.kind == "xfs" and s.label == label for s in device.signatures)
