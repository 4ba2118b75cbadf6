"""What to do about the scratch disk: the only decision that may lead to ``mkfs``.

``decide`` is a pure function of what was seen and what is wanted. It fails closed: a disk is
formatted only when every probe says blank, or when a wipe token names this host and this disk;
whatever is unknown, in use or in disagreement is a refusal that names the object, the evidence
and the next command.
"""

from __future__ import annotations

from uuid import UUID, uuid5

from rocminfra.failure import Again, Do, Failure, Fault
from rocminfra.planning.disk.arguments import DEVICE, LABEL
from rocminfra.planning.disk.choice import Chosen, choose, describe
from rocminfra.planning.disk.decision import Decision, Format, Keep, Mount, Refuse
from rocminfra.planning.disk.mounting import (
    MOUNT_STEPS,
    fstab_uuid,
    missing_steps,
    mounts_at,
    replaced_lines,
)
from rocminfra.planning.disk.observation import (
    INTERRUPTED,
    PROBES,
    Desired,
    Device,
    Finding,
    Observed,
)
from rocminfra.planning.disk.obstacles import (
    disk_problem,
    fstab_problem,
    label_problem,
    mount_point_problem,
    twin_problem,
    uuid_problem,
)
from rocminfra.planning.disk.wipe import mismatches, permits, tokens, unused

__all__ = ["Decision", "Format", "Keep", "Mount", "Refuse", "decide", "is_blank", "is_ours"]

# Namespace of the UUIDs that are given to scratch file systems (RFC 9562, version 5).
_NAMESPACE = UUID("5b1ff2a0-6f54-4c0b-9c53-1f1d2b0b7a11")


def decide(observed: Observed, desired: Desired) -> Decision:
    """What to do about the scratch disk of one host."""
    if observed.problems:
        return Refuse(
            Failure(
                Fault.DISKS_NOT_OBSERVED,
                "the disks of this host could not be observed",
                observed.problems,
                Again("repair what is named above (as root: lsblk, findmnt), then"),
            )
        )
    problem = label_problem(desired) or mount_point_problem(observed, desired)
    if problem is not None:
        return problem
    choice = choose(observed, desired)
    if isinstance(choice, Failure):
        return Refuse(choice)
    device = choice.device
    if mounts_at(observed, desired.mount_point):
        return fstab_problem(observed, desired, device) or _mounted(observed, desired, choice)
    problem = (
        disk_problem(observed, desired, device)
        or fstab_problem(observed, desired, device)
        or twin_problem(observed, device)
    )
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
        and not any(INTERRUPTED in look.evidence for look in device.looks)
        and all(look.finding is not Finding.UNKNOWN for look in device.looks)
    )


def _mounted(observed: Observed, desired: Desired, choice: Chosen) -> Decision:
    device, live = choice.device, mounts_at(observed, desired.mount_point)
    path = desired.mount_point
    seen = tuple(f"mounted there: {m.kind} from {m.number} root {m.root}" for m in live)
    if len(live) > 1:
        return Refuse(
            Failure(
                Fault.MOUNTS_STACKED,
                f"{len(live)} mounts are stacked on {path}",
                seen,
                Do(f"umount {path}"),
            ),
            device,
        )
    if live[0].number != device.number:
        return Refuse(
            Failure(
                Fault.MOUNT_POINT_TAKEN,
                f"{path} is taken by another device than {device.path} ({device.number})",
                seen,
                Do(f"umount {path}, or set ", DEVICE, " to what is mounted there"),
            ),
            device,
        )
    if live[0].kind != "xfs" or live[0].root != "/":
        return Refuse(
            Failure(
                Fault.MOUNTED_NOT_XFS,
                f"what is mounted at {path} from {device.path} is not a whole XFS file system",
                seen,
                Again(f"umount {path}, then"),
            ),
            device,
        )
    if not is_ours(device, desired.label):
        return Refuse(
            Failure(
                Fault.MOUNTED_OTHER_FILESYSTEM,
                f"{device.path} is mounted at {path}, but is not the file system labelled "
                f"{desired.label}",
                (*seen, *_evidence(observed, device)),
                Do(
                    "set ", LABEL, f" to its label, or: xfs_io -c 'label -s {desired.label}' {path}"
                ),
            ),
            device,
        )
    uuid = device.signatures[0].uuid or ""
    steps = missing_steps(observed, desired, device, uuid)
    told = unused(desired.wipe, desired.host, device)
    if steps:
        reasons = (choice.reason, *replaced_lines(observed, desired, uuid), *told)
        return Mount(device, uuid, steps, reasons, choice.rejected)
    right = "live mount, fstab and sentinel are right"
    return Keep(device, uuid, (choice.reason, right, *told), choice.rejected)


def _mount(observed: Observed, desired: Desired, choice: Chosen) -> Decision:
    device = choice.device
    uuid = device.signatures[0].uuid or ""
    expected = fstab_uuid(observed, desired.mount_point)
    if expected is not None and expected != uuid.lower():
        return Refuse(
            Failure(
                Fault.LABEL_OF_ANOTHER_FILESYSTEM,
                f"{device.path} carries our label, but is not the file system that fstab expects",
                (f"fstab expects UUID {expected}", f"{device.path} has UUID {uuid}"),
                Do(f"to adopt it, remove the line for {desired.mount_point} from /etc/fstab"),
            ),
            device,
        )
    steps = missing_steps(observed, desired, device, uuid)
    reasons = (
        choice.reason,
        f"it holds XFS {uuid} labelled {desired.label}",
        *replaced_lines(observed, desired, uuid),
        *unused(desired.wipe, desired.host, device),
    )
    return Mount(device, uuid, steps, reasons, choice.rejected)


def _format(observed: Observed, desired: Desired, choice: Chosen) -> Decision:
    device = choice.device
    uuid = fstab_uuid(observed, desired.mount_point)
    if uuid is None or not _is_uuid(uuid):
        # The same disk gets the same UUID again, so that a plan can show it before it is applied.
        uuid = str(uuid5(_NAMESPACE, f"{desired.host}|{device.path}|{device.identity}"))
    problem = uuid_problem(observed, desired, device, uuid)
    if problem is not None:
        return problem
    gets = (f"it gets UUID {uuid}", *replaced_lines(observed, desired, uuid))
    if is_blank(device):
        reasons: tuple[str, ...] = (choice.reason, "every probe says it is blank", *gets)
        return Format(device, uuid, MOUNT_STEPS, reasons, choice.rejected)
    token = permits(desired.wipe, desired.host, device)
    # Used and unknown disks have been refused already; here is what that rests on.
    known = all(device.look(p).finding in (Finding.BLANK, Finding.DATA) for p in PROBES)
    if token is not None and known:
        reasons = (choice.reason, f"wipe token {token}", *gets, *_evidence(observed, device))
        return Format(device, uuid, MOUNT_STEPS, reasons, choice.rejected, token)
    wanted = tokens(desired.host, device)[0]
    return Refuse(
        Failure(
            Fault.DISK_NOT_BLANK,
            f"{device.path} is not blank ({describe(device)})",
            (*_evidence(observed, device), *mismatches(desired.wipe, desired.host, device)),
            Again("look at what it holds first; to destroy it", wipe=wanted),
        ),
        device,
        wanted,
    )


def _evidence(observed: Observed, device: Device) -> tuple[str, ...]:
    """What the probes say of it, and what is on its partitions."""
    seen = [f"{k.probe}: {k.evidence}" for k in device.looks if k.finding is not Finding.BLANK]
    for part in observed.partitions(device):
        uuids = [f", UUID {s.uuid}" for s in part.signatures if s.uuid is not None]
        seen.append(f"{part.path}: {describe(part)}{''.join(uuids)}")
    return tuple(seen)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
