"""What was seen of a host's disks, as data.

Records only: facts fill them in, decisions read them. A look that failed is part of the record
(:attr:`Finding.UNKNOWN`), because "not seen" must never read as "nothing there".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

SENTINEL = ".rocminfra-scratch"
INTERRUPTED = "mkfs was interrupted"

# Every one of these must say "blank" before a disk is formatted without a wipe token.
PROBES = ("partitions", "blkid", "wipefs", "content", "exclusive open", "users")


class Finding(Enum):
    """Outcome of one look at a device."""

    BLANK = "blank"
    DATA = "data"
    BUSY = "busy"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Signature:
    """A file system, partition table or member signature.

    + kind: libblkid's name of it (``xfs``, ``gpt``, ``LVM2_member``, ``crypto_LUKS``…)
    """

    kind: str
    uuid: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Look:
    """One probe's outcome.

    + probe: one of :data:`PROBES`
    + evidence: what it said, for people
    + signatures: what it recognised
    """

    probe: str
    finding: Finding
    evidence: str
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True)
class Identity:
    """What tells one disk from another; its kernel name does not.

    + address: PCI path, with the SCSI address behind it; empty where there is none
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

    + number: ``MAJOR:MINOR``, by which everything is matched
    + kind: ``disk``, ``part``, ``loop``, ``rom``, ``crypt``, ``lvm``, ``raid1``…
    + size: bytes
    + parent: number of the disk that a partition is on
    + slaves, holders: kernel names of what it is made of, and of what is made of it
    + by_id: stable paths that udev made
    + looks: what the probes said; empty when nobody looked
    + problems: disagreements and failures in listing it
    + part_uuid, part_label: of a partition, as the partition table has them
    + record: everything that was read of it, of the disk that it is on and of all partitions of
      that, as canonical JSON by number, to be compared right before ``mkfs``
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
        """What ``probe`` said; a probe that nobody made is unknown."""
        for look in self.looks:
            if look.probe == probe:
                return look
        return Look(probe, Finding.UNKNOWN, "not looked at")

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """What any probe recognised, each once."""
        return tuple(dict.fromkeys(s for look in self.looks for s in look.signatures))


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo.

    + root: what of the file system is mounted; ``/`` is all of it
    + options: of the mount and of the file system
    """

    number: str
    root: str
    target: str
    kind: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class FstabLine:
    """One entry of /etc/fstab, escapes undone.

    + device: number of the device when ``source`` is a path that exists
    """

    source: str
    target: str
    kind: str
    options: tuple[str, ...]
    device: str | None = None


@dataclass(frozen=True)
class MountPoint:
    """What lies at the mount point.

    + real: path with every link followed
    + names: its first entries; ``count`` says how many there are
    + mode, uid: of the directory, or of the mounted file system's root
    + immutable: None where the file system has no such flag
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
    """Everything that the decision rests on.

    + problems: why it cannot be trusted; with any of these nothing is decided but a refusal
    + nodes: number of each path that was asked for or is named in fstab
    + fstab_sha256: of the file as it was read
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
        """The device at ``path``, whatever link that is."""
        return self.device(dict(self.nodes).get(path))

    def disk_of(self, device: Device) -> Device:
        """The disk that a partition is on; any other device is its own."""
        return self.device(device.parent) or device

    def partitions(self, disk: Device) -> tuple[Device, ...]:
        """The partitions of ``disk``."""
        return tuple(d for d in self.devices if d.parent == disk.number)


@dataclass(frozen=True)
class Desired:
    """The scratch disk that is asked for.

    + host: name in the inventory, which wipe tokens carry
    + device: ``auto`` or a path
    + expected_size: bytes, or None when it is not known
    + wipe: wipe tokens, those of other hosts among them
    """

    host: str
    device: str = "auto"
    mount_point: str = "/mnt/models"
    label: str = "rocm-models"
    mount_options: tuple[str, ...] = ("nofail", "noatime")
    owner: str = "root"
    expected_size: int | None = None
    wipe: tuple[str, ...] = ()
