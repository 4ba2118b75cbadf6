"""States of a disk that only a virtual machine can have, for its tests and docs/storage.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VmState:
    """One state, what is decided about it, and what the message says; the test makes the state."""

    name: str
    decision: str
    says: str
    token: bool = False


LVM_ACTIVE = VmState("LVM, logical volume active", "Refuse", "is in use")
LVM_INACTIVE = VmState("LVM, volume group inactive", "Refuse", "LVM2_member", token=True)
LVM_BLANK = VmState("blank logical volume, chosen by name", "Format", "every probe says")
MD_ACTIVE = VmState("md array running", "Refuse", "held by md0")
MD_STOPPED = VmState("md array stopped", "Refuse", "linux_raid_member", token=True)
LUKS_OPEN = VmState("LUKS, open", "Refuse", "held by dm-")
LUKS_CLOSED = VmState("LUKS, closed", "Refuse", "crypto_LUKS", token=True)
OTHER_SERIAL = VmState("token with another serial number", "Refuse", "is for another", token=True)
ONE_BAD_SECTOR = VmState("one sector that cannot be read (dm error)", "Refuse", "is unknown")
ALL_BAD = VmState("nothing can be read (dm error)", "Refuse", "is unknown")
FLAKEY = VmState("a disk that has gone away (dm flakey)", "Refuse", "is unknown")
WRITES_FAIL = VmState(
    "blank, and every write fails (dm flakey)", "Format", "every probe says it is blank"
)
SWAP = VmState("swap in use", "Refuse", "belongs to the running system")
ROOT = VmState("the root disk", "Refuse", "belongs to the running system")
CONFIG_DRIVE = VmState("the config drive", "Refuse", "belongs to the running system")
TWINS = VmState(
    "two disks with one serial number", "Refuse", "cannot be told apart from another disk"
)
AUTO = VmState("auto, expected size known", "Format", "5120.0 GiB")
AUTO_MANY = VmState("auto, several blank disks", "Refuse", "disks could be the scratch disk")
VIRTIO = VmState("blank virtio disk without serial number", "Format", "every probe says")
BY_ID = VmState("blank virtio disk by its by-id path", "Format", "every probe says")
NVME = VmState("blank NVMe disk", "Format", "every probe says")
GPT_PARTITION = VmState("blank partition of GPT, by its by-id path", "Format", "every probe says")
GPT_DISK = VmState("disk with one blank partition of GPT, by-id path", "Format", "only partition")
NVME_PARTITION = VmState("NVMe disk with one blank partition", "Format", "only partition")
DEPLOYED = VmState("formatted, mounted, Docker on it", "Keep", "are right")
REBOOTED = VmState("rebooted, and the disk has another name", "Keep", "are right")
BLANK_AGAIN = VmState("rebooted, and the disk is blank", "Format", "it gets UUID")
ABSENT = VmState("rebooted, and the disk is missing", "Refuse", "no disk can be the scratch disk")
SWAPPED = VmState(
    "rebooted, and another disk is in its place, with our label",
    "Refuse",
    "is not the file system that fstab expects",
)

BOOTS = (DEPLOYED, REBOOTED, BLANK_AGAIN, ABSENT, SWAPPED)
VM_STATES = tuple(value for value in globals().values() if isinstance(value, VmState))
