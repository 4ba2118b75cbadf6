"""Observations of a host's disks, as data.

These are only records: facts fill them in, decisions read them. A failed probe is part of the
record (:attr:`Finding.UNKNOWN`), because "not seen" must never be read as "nothing there".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

SENTINEL = ".rocminfra-scratch"
INTERRUPTED = "mkfs was interrupted"

# Every one of these must say "blank" before a disk is formatted without a wipe token.
PROBES = ("partitions", "blkid", "wipefs", "content", "exclusive open", "users")


class Finding(Enum):
    """Outcome of one probe of a device."""

    BLANK = "blank"
    DATA = "data"
    BUSY = "busy"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Signature:
    """A file system, partition table or member signature.

    + kind: libblkid's name for it (``xfs``, ``gpt``, ``LVM2_member``, ``crypto_LUKS``…)
    """

    kind: str
    uuid: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Look:
    """One probe's outcome.

    + probe: one of :data:`PROBES`
    + evidence: what it found, in words
    + signatures: what it recognised
    """

    probe: str
    finding: Finding
    evidence: str
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True)
class Identity:
    """What identifies a disk; its kernel name does not.

    + address: PCI path followed by the SCSI address; empty if there is none
    + size: bytes
    """

    serial: str | None
    wwn: str | None
    address: str
    size: int

    def __str__(self) -> str:
        if self.wwn:
            return self.wwn
        if self.serial:
            return self.serial
        return f"{self.address or 'no-address'}+{self.size}"


@dataclass(frozen=True)
class Device:
    """A block device.

    + number: ``MAJOR:MINOR``, the key for all matching
    + kind: ``disk``, ``part``, ``loop``, ``rom``, ``crypt``, ``lvm``, ``raid1``…
    + size: bytes
    + parent: number of a partition's disk
    + slaves, holders: kernel names of the devices below it and on top of it
    + by_id: stable paths from udev
    + looks: results of the probes; empty if none ran
    + problems: contradictions and failures while listing it
    + part_uuid, part_label: a partition's values from the partition table
    + record: everything read about it, its disk and all partitions of that disk, as canonical JSON
      by number, for comparison right before ``mkfs``
    """

    number: str
    name: str
    path: str
    kind: str
    size: int
    identity: Identity
    by_id: tuple[str, ...] = ()
    parent: str | None = None
    slaves: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    read_only: bool = False
    removable: bool = False
    looks: tuple[Look, ...] = ()
    problems: tuple[str, ...] = ()
    part_uuid: str | None = None
    part_label: str | None = None
    record: str = "{}"

    def look(self, probe: str) -> Look:
        """The result of ``probe``; unknown if it did not run."""
        for look in self.looks:
            if look.probe == probe:
                return look
        return Look(probe, Finding.UNKNOWN, "not probed")

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """Everything that any probe recognised, without duplicates."""
        return tuple(dict.fromkeys(s for look in self.looks for s in look.signatures))


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo.

    + root: which part of the file system is mounted; ``/`` is all of it
    + options: options of the mount and of the file system
    """

    number: str
    root: str
    target: str
    kind: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class FstabLine:
    """One entry of /etc/fstab, unescaped.

    + device: number of the device if ``source`` is an existing path
    """

    source: str
    target: str
    kind: str
    options: tuple[str, ...]
    device: str | None = None


@dataclass(frozen=True)
class MountPoint:
    """The state of the mount point.

    + real: path with all links resolved
    + names: its first entries; ``count`` is their total number
    + mode, uid: those of the directory, or of the mounted file system's root
    + immutable: None if the file system does not support the flag
    + sentinel: text of the sentinel file
    """

    exists: bool
    real: str
    folder: bool = True
    count: int = 0
    names: tuple[str, ...] = ()
    mode: int = 0o755
    owner: str = "root"
    immutable: bool | None = None
    sentinel: str | None = None


@dataclass(frozen=True)
class Observed:
    """Everything that the decision is based on.

    + problems: why it cannot be trusted; any of these leads to a refusal
    + nodes: number of each path that was requested or is in fstab
    + fstab_sha256: hash of the file as it was read
    """

    devices: tuple[Device, ...]
    mounts: tuple[Mount, ...]
    swaps: tuple[str, ...]
    fstab: tuple[FstabLine, ...]
    mount_point: MountPoint
    nodes: tuple[tuple[str, str | None], ...] = ()
    fstab_sha256: str = ""
    tools: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def device(self, number: str | None) -> Device | None:
        """The device with that number."""
        return next((d for d in self.devices if d.number == number), None)

    def named(self, path: str) -> Device | None:
        """The device at ``path``, through any link."""
        return self.device(dict(self.nodes).get(path))

    def disk_of(self, device: Device) -> Device:
        """The disk of a partition; for any other device, the device itself."""
        return self.device(device.parent) or device

    def partitions(self, disk: Device) -> tuple[Device, ...]:
        """The partitions of ``disk``."""
        return tuple(d for d in self.devices if d.parent == disk.number)


@dataclass(frozen=True)
class Desired:
    """The requested scratch disk.

    + host: name in the inventory, which is part of wipe tokens
    + device: ``auto`` or a path
    + expected_size: bytes, or None if unknown
    + wipe: wipe tokens, including those for other hosts
    """

    host: str
    device: str = "auto"
    mount_point: str = "/mnt/models"
    label: str = "rocm-models"
    mount_options: tuple[str, ...] = ("nofail", "noatime")
    owner: str = "root"
    expected_size: int | None = None
    wipe: tuple[str, ...] = ()
