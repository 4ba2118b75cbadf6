"""What has to hold for every decision, whatever was seen: written apart from the code that decides.

``check`` is an oracle: it knows no order of questions and no helper of the planner, only what a
careful person would want to be true before a disk is formatted or mounted.
"""

from __future__ import annotations

from disk_worlds import HOST

from rocminfra.planning.disk.decide import Decision, Format, Keep, Mount, Refuse
from rocminfra.planning.disk.observation import (
    INTERRUPTED,
    PROBES,
    Desired,
    Device,
    Finding,
    Observed,
)

KINDS = {"disk", "part", "loop", "lvm", "mpath", "crypt", "raid0", "raid1"}


def check(observed: Observed, desired: Desired, decision: Decision) -> None:
    """Fail unless ``decision`` is one that nobody would regret."""
    if isinstance(decision, Refuse):
        assert decision.failure.what
        assert decision.failure.next
        return
    assert not observed.problems
    assert observed.mount_point.real == desired.mount_point
    assert observed.mount_point.folder
    live = [m for m in observed.mounts if m.target == desired.mount_point]
    assert live or observed.mount_point.count == 0
    promised_to_nobody_else(observed, desired, decision.device)
    if isinstance(decision, Format):
        assert not live
        assert len(desired.label) <= 12
        free(observed, decision.device)
        understood(observed, decision.device)
        of_the_right_size(decision.device, desired)
        permitted(desired, decision)
        unique(observed, decision.device, decision.uuid)
        return
    assert isinstance(decision, Mount | Keep)
    ours(decision.device, desired, decision.uuid)
    if live:
        (only,) = live
        assert (only.number, only.root, only.kind) == (decision.device.number, "/", "xfs")
    else:
        assert isinstance(decision, Mount)
        free(observed, decision.device)
        understood(observed, decision.device)
        unique(observed, decision.device, decision.uuid)
        expected = {
            line.source.lower()
            for line in observed.fstab
            if line.target == desired.mount_point and line.source.startswith("UUID=")
        }
        assert len(expected) != 1 or expected == {f"uuid={decision.uuid}"}
    if isinstance(decision, Keep):
        lines = [line for line in observed.fstab if line.target == desired.mount_point]
        assert [(x.source, x.kind, x.options) for x in lines] == [
            (f"UUID={decision.uuid}", "xfs", desired.mount_options)
        ]
        assert (observed.mount_point.sentinel or "").strip() == decision.uuid


def family(observed: Observed, device: Device) -> list[Device]:
    """The device, the disk it is on, its partitions, and all that is built on it."""
    found = [device, *(d for d in observed.devices if d.number == device.parent)]
    below = [device]
    for member in below:
        below += [
            d
            for d in observed.devices
            if (d.parent == member.number or member.name in d.slaves) and d not in below
        ]
    return [*found, *below[1:]]


def free(observed: Observed, device: Device) -> None:
    """Nobody has it mounted, open, as swap, or built something on it, and the system does not."""
    members = family(observed, device)
    numbers = {member.number for member in members}
    assert not numbers & {m.number for m in observed.mounts}
    assert not numbers & set(observed.swaps)
    names = {member.name for member in members}
    assert not names & {name for d in observed.devices for name in d.slaves}
    for member in members:
        assert not member.users
        assert not member.holders
        assert not member.read_only
    assert Finding.BUSY not in {look.finding for look in device.looks}
    assert device.name not in ("vda", "vda1", "vdb")
    assert not any(s.kind in ("iso9660", "udf") for member in members for s in member.signatures)


def understood(observed: Observed, device: Device) -> None:
    """No probe failed, on it or on the disk it is on, and that has a partition table."""
    assert device.parent is None or observed.device(device.parent) is not None
    for member in family(observed, device):
        assert not member.problems
        assert member.kind in KINDS
        if member.parent is not None or member is device or member.number == device.parent:
            assert {look.probe for look in member.looks} == set(PROBES)
            assert Finding.UNKNOWN not in {look.finding for look in member.looks}
    if device.parent is not None:
        disk = observed.device(device.parent)
        assert disk is not None
        assert {s.kind for s in disk.signatures} <= {"gpt", "dos", "PMBR"}
        assert disk.signatures


def of_the_right_size(device: Device, desired: Desired) -> None:
    assert device.size >= 300 * 1024**2
    if desired.expected_size is not None:
        assert abs(device.size - desired.expected_size) <= 0.05 * desired.expected_size


def permitted(desired: Desired, decision: Format) -> None:
    """Blank by every probe, or a token that names host, disk and identity."""
    device = decision.device
    said = {look.probe: look.finding for look in device.looks}
    if decision.token is None:
        assert said == dict.fromkeys(PROBES, Finding.BLANK)
        assert not device.signatures
        return
    assert set(said.values()) <= {Finding.BLANK, Finding.DATA}
    assert decision.token in desired.wipe
    name, path, identity = decision.token.split(":", 2)
    assert name == HOST
    assert path in (device.path, *device.by_id)
    assert identity == str(device.identity)


def unique(observed: Observed, device: Device, uuid: str) -> None:
    """Neither the disk's identity nor the file system's UUID is another one's as well."""
    members = family(observed, device)
    assert not any(
        (s.uuid or "").lower() == uuid
        for other in observed.devices
        if other not in members
        for s in other.signatures
    )
    disk = observed.device(device.parent) or device
    for other in observed.devices:
        if other is disk or other.parent is not None:
            continue
        one, two = disk.identity, other.identity
        if one.wwn and two.wwn:
            assert one.wwn != two.wwn
        else:
            assert one.serial is None or one.serial != two.serial


def promised_to_nobody_else(observed: Observed, desired: Desired, device: Device) -> None:
    """fstab gives the disk to no other folder, and the folder to nothing but a scratch disk."""
    uuids = {f"UUID={s.uuid}".lower() for s in device.signatures if s.uuid}
    for line in observed.fstab:
        names_it = line.device == device.number or line.source.lower() in uuids
        if line.target != desired.mount_point:
            assert not names_it
        elif not names_it:
            assert line.kind == "xfs"
            assert not line.source.startswith("/dev/mapper/")


def ours(device: Device, desired: Desired, uuid: str) -> None:
    """Both tools see our XFS and nothing else, and it is whole."""
    assert [(s.kind, s.label, s.uuid) for s in device.signatures] == [("xfs", desired.label, uuid)]
    seen = {look.probe: look for look in device.looks}
    assert seen["partitions"].finding is Finding.BLANK
    assert seen["blkid"].signatures == seen["wipefs"].signatures == device.signatures
    assert not any(INTERRUPTED in look.evidence for look in device.looks)
    assert not device.problems
