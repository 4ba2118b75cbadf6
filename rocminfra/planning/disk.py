"""What to do about the scratch disk: the only decision that may lead to ``mkfs``.

``decide`` is a pure function of what was seen and what is wanted. It fails closed: a disk is
formatted only when every probe says blank, or when a wipe token names this host and this disk;
whatever is unknown, in use or in disagreement is a refusal that names the object, the evidence
and the next command.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid5

from rocminfra.planning.disk_choice import (
    SMALLEST,
    Chosen,
    NoChoice,
    Rejected,
    choose,
    describe,
    mounts_of,
    size_problem,
    system_use,
    uses,
)
from rocminfra.planning.disk_mount import (
    MOUNT_STEPS,
    Step,
    fstab_uuid,
    missing_steps,
    mounts_at,
)
from rocminfra.planning.disk_observation import PROBES, Desired, Device, Finding, Observed
from rocminfra.planning.disk_wipe import misfits, permits, tokens

# Namespace of the UUIDs that are given to scratch file systems (RFC 9562, version 5).
_NAMESPACE = UUID("5b1ff2a0-6f54-4c0b-9c53-1f1d2b0b7a11")
_TABLES = frozenset(("gpt", "dos", "PMBR"))
_KINDS = frozenset(("disk", "part", "loop", "lvm", "mpath", "crypt"))


@dataclass(frozen=True)
class Keep:
    """Everything is right; nothing to do."""

    device: Device
    uuid: str
    reasons: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True)
class Mount:
    """The file system is ours; only what surrounds it is not right.

    + steps: what to do, in order
    """

    device: Device
    uuid: str
    steps: tuple[Step, ...]
    reasons: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True)
class Format:
    """Make the file system, then mount it.

    + token: the wipe token that permits destroying what is there; None for a blank disk
    """

    device: Device
    uuid: str
    steps: tuple[Step, ...]
    reasons: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()
    token: str | None = None


@dataclass(frozen=True)
class Refuse:
    """Nothing may be done.

    + what: the object and what is wrong with it
    + evidence: what was seen, a line each
    + next_command: what the operator can do
    + device: the disk it is about, or None when none was found
    + token: the token that would permit wiping it, or None where no token can
    """

    what: str
    evidence: tuple[str, ...]
    next_command: str
    device: Device | None = None
    token: str | None = None


Decision = Keep | Mount | Format | Refuse


def decide(observed: Observed, desired: Desired) -> Decision:
    """What to do about the scratch disk of one host."""
    if observed.problems:
        return Refuse(
            "the disks of this host could not be observed",
            observed.problems,
            "repair what is named above (as root: lsblk, findmnt), then run this again",
        )
    problem = _mount_point_problem(observed, desired)
    if problem is not None:
        return problem
    choice = choose(observed, desired)
    if isinstance(choice, NoChoice):
        return Refuse(choice.what, choice.evidence, choice.next_command)
    device = choice.device
    problem = _fstab_problem(observed, desired, device)
    if problem is not None:
        return problem
    if mounts_at(observed, desired.mount_point):
        return _mounted(observed, desired, choice)
    problem = _never(observed, desired, device)
    if problem is not None:
        return problem
    if is_ours(device, desired.label):
        return _mount(observed, desired, choice)
    return _format(observed, desired, choice)


def is_blank(device: Device) -> bool:
    """Whether every probe says so; one that failed or was not made does not."""
    return not device.problems and all(device.look(p).finding is Finding.BLANK for p in PROBES)


def is_ours(device: Device, label: str) -> bool:
    """Whether blkid and wipefs both see nothing but one XFS with our label, and it is whole."""
    seen = {device.look(probe).signatures for probe in ("blkid", "wipefs")}
    if device.problems or len(seen) != 1:
        return False
    signatures = seen.pop()
    return (
        len(signatures) == 1
        and signatures[0].kind == "xfs"
        and signatures[0].label == label
        and signatures[0].uuid is not None
        and device.look("partitions").finding is Finding.BLANK
        and not any("mkfs was interrupted" in look.evidence for look in device.looks)
        and all(look.finding is not Finding.UNKNOWN for look in device.looks)
    )


def _mount_point_problem(observed: Observed, desired: Desired) -> Refuse | None:
    place = observed.mount_point
    path = desired.mount_point
    if place.real != path:
        return Refuse(
            f"mount point {path} is a symbolic link, or lies behind one",
            (f"it leads to {place.real}",),
            f"set storage.mount_point to {place.real}, or remove the link",
        )
    if not place.exists:
        return None
    if not place.folder:
        return Refuse(
            f"mount point {path} is not a directory",
            ("it exists as something else",),
            f"move it away: mv {path} {path}.old",
        )
    if place.count and not mounts_at(observed, path):
        names = ", ".join(place.names)
        return Refuse(
            f"mount point {path} holds {place.count} entries on the disk below it",
            (f"first entries: {names}", "mounting over them would hide them and keep their space"),
            f"move them away: mv {path} {path}.old",
        )
    return None


def _fstab_problem(observed: Observed, desired: Desired, device: Device) -> Refuse | None:
    for line in observed.fstab:
        named = _named_by(observed, line.source, line.device)
        if line.target != desired.mount_point and device in named:
            return Refuse(
                f"/etc/fstab gives {device.path} to {line.target}, not to {desired.mount_point}",
                (f"line: {line.source} {line.target} {line.kind} {','.join(line.options)}",),
                f"remove that line from /etc/fstab, or set storage.mount_point to {line.target}",
                device,
            )
        if line.target == desired.mount_point and named and device not in named:
            return Refuse(
                f"/etc/fstab gives {desired.mount_point} to {named[0].path}, not to {device.path}",
                (f"line: {line.source} {line.target} {line.kind} {','.join(line.options)}",),
                f"set storage.device to {named[0].path}, or remove that line from /etc/fstab",
                device,
            )
    return None


def _named_by(observed: Observed, source: str, number: str | None) -> tuple[Device, ...]:
    key, _, value = source.partition("=")
    value = value.strip('"')
    if key == "UUID":
        return tuple(
            d
            for d in observed.devices
            if any((s.uuid or "").lower() == value.lower() for s in d.signatures)
        )
    if key == "LABEL":
        return tuple(d for d in observed.devices if any(s.label == value for s in d.signatures))
    device = observed.device(number)
    return () if device is None else (device,)


def _mounted(observed: Observed, desired: Desired, choice: Chosen) -> Decision:
    device, live = choice.device, mounts_at(observed, desired.mount_point)
    path = desired.mount_point
    seen = tuple(f"mounted there: {m.kind} from {m.number} root {m.root}" for m in live)
    if len(live) > 1:
        return Refuse(f"{len(live)} mounts are stacked on {path}", seen, f"umount {path}", device)
    if live[0].number != device.number:
        return Refuse(
            f"{path} is taken by another device than {device.path} ({device.number})",
            seen,
            f"umount {path}, or set storage.device to what is mounted there",
            device,
        )
    if live[0].kind != "xfs" or live[0].root != "/":
        return Refuse(
            f"what is mounted at {path} from {device.path} is not a whole XFS file system",
            seen,
            f"umount {path}, then run this again",
            device,
        )
    if not is_ours(device, desired.label):
        return Refuse(
            f"{device.path} is mounted at {path}, but is not the file system labelled "
            f"{desired.label}",
            (*seen, *_evidence(device)),
            f"set storage.label to its label, or: xfs_io -c 'label -s {desired.label}' {path}",
            device,
        )
    uuid = device.signatures[0].uuid or ""
    steps = missing_steps(observed, desired, device, uuid)
    if steps:
        return Mount(device, uuid, steps, (choice.reason,), choice.rejected)
    return Keep(
        device, uuid, (choice.reason, "live mount, fstab and sentinel are right"), choice.rejected
    )


def _never(observed: Observed, desired: Desired, device: Device) -> Refuse | None:
    """What no token can permit."""
    if device.kind not in _KINDS and not device.kind.startswith("raid"):
        return Refuse(
            f"{device.path} is of kind {device.kind}", (), "set storage.device to a disk", device
        )
    if device.problems:
        return Refuse(
            f"{device.path} is not understood", device.problems, "lsblk on the host", device
        )
    system = system_use(observed, device)
    if system is not None:
        return Refuse(
            f"{device.path} belongs to the running system",
            (system,),
            "set storage.device to another disk",
            device,
        )
    used = uses(observed, device)
    if used:
        mounts = mounts_of(observed, device)
        free = f"umount {mounts[0].target}" if mounts else "stop what uses it"
        return Refuse(f"{device.path} is in use", used, f"{free}, then run this again", device)
    if device.read_only is not False:
        known = "is read-only" if device.read_only else "may be read-only"
        return Refuse(
            f"{device.path} {known}",
            (),
            f"blockdev --setrw {device.path}, if that is right",
            device,
        )
    if device.size < SMALLEST:
        return Refuse(
            f"{device.path} is too small for XFS",
            (f"it has {device.size} bytes, and mkfs.xfs needs {SMALLEST}",),
            "set storage.device to a larger disk",
            device,
        )
    size = size_problem(device, desired)
    if size is not None:
        return Refuse(
            f"{device.path} has the wrong size",
            (size,),
            "set storage.expected_size_gib, or storage.device, to what is right",
            device,
        )
    failed = tuple(
        f"{look.probe}: {look.evidence}"
        for look in map(device.look, PROBES)
        if look.finding is Finding.UNKNOWN
    )
    if failed:
        return Refuse(
            f"what {device.path} holds is unknown",
            failed,
            "repair what is named above, then run this again; no token permits wiping it",
            device,
        )
    return None


def _mount(observed: Observed, desired: Desired, choice: Chosen) -> Decision:
    device = choice.device
    uuid = device.signatures[0].uuid or ""
    expected = fstab_uuid(observed, desired.mount_point)
    if expected is not None and expected != uuid.lower():
        return Refuse(
            f"{device.path} carries our label, but is not the file system that fstab expects",
            (f"fstab expects UUID {expected}", f"{device.path} has UUID {uuid}"),
            f"to adopt it, remove the line for {desired.mount_point} from /etc/fstab",
            device,
        )
    twins = [d.path for d in observed.devices if d != device and uuid in _uuids(d)]
    if twins:
        return Refuse(
            f"the file system of {device.path} exists more than once",
            (f"UUID {uuid} is also on {', '.join(twins)}",),
            "detach the copy, or give it another UUID (xfs_admin -U generate)",
            device,
        )
    steps = missing_steps(observed, desired, device, uuid)
    reasons = (choice.reason, f"it holds XFS {uuid} labelled {desired.label}")
    return Mount(device, uuid, steps, reasons, choice.rejected)


def _format(observed: Observed, desired: Desired, choice: Chosen) -> Decision:
    device = choice.device
    uuid = fstab_uuid(observed, desired.mount_point) or str(
        uuid5(_NAMESPACE, f"{desired.host}|{device.path}|{device.identity}")
    )
    if not _is_uuid(uuid):
        uuid = str(uuid5(_NAMESPACE, f"{desired.host}|{device.path}|{device.identity}"))
    disk = observed.device(device.parent)
    strange = () if disk is None else tuple(s for s in disk.signatures if s.kind not in _TABLES)
    twins = [d.path for d in observed.devices if d != device and _same_disk(device, d)]
    if strange or twins:
        return Refuse(
            f"{device.path} is not told apart from another disk",
            tuple(
                [f"the disk it is on holds {s.kind} itself" for s in strange]
                + [f"{path} has the same identity {device.identity}" for path in twins]
            ),
            "lsblk -o +SERIAL,WWN on the host; two paths to one disk need multipath",
            device,
        )
    if is_blank(device):
        return Format(
            device,
            uuid,
            MOUNT_STEPS,
            (choice.reason, "every probe says it is blank"),
            choice.rejected,
        )
    token = permits(desired.wipe, desired.host, device)
    if token is not None:
        reasons = (choice.reason, f"wipe token {token}", *_evidence(device))
        return Format(device, uuid, MOUNT_STEPS, reasons, choice.rejected, token)
    wanted = tokens(desired.host, device)[0]
    return Refuse(
        f"{device.path} is not blank ({describe(device)})",
        (*_evidence(device), *misfits(desired.wipe, desired.host, device)),
        f"look at what it holds first; to destroy it: --data wipe='{wanted}' "
        f"(rocminfra: --wipe '{wanted}')",
        device,
        wanted,
    )


def _evidence(device: Device) -> tuple[str, ...]:
    return tuple(
        f"{look.probe}: {look.evidence}"
        for look in device.looks
        if look.finding is not Finding.BLANK
    )


def _uuids(device: Device) -> tuple[str | None, ...]:
    return tuple(s.uuid for s in device.signatures)


def _same_disk(one: Device, other: Device) -> bool:
    if one.parent is not None or other.parent is not None:
        return False
    if one.identity.wwn and other.identity.wwn:
        return one.identity.wwn == other.identity.wwn
    return bool(one.identity.serial) and one.identity.serial == other.identity.serial


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
