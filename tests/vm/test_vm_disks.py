"""Disks with udev, serial numbers, device mapper, md, LVM, LUKS and NVMe: one boot for all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import disk_vm_states as states
import pytest
from storage_machine import (
    BY_ID,
    DEPLOY,
    SCRATCH_BYTES,
    SMALL,
    SMALL_BYTES,
    StorageMachine,
)
from vm import nvme, virtio

from rocminfra.host.sent.disk_content import spans
from rocminfra.planning.disk.decide import Format, Refuse

pytestmark = pytest.mark.vm
SECTORS = SMALL_BYTES // 512


@pytest.fixture(scope="module")
def lab(machine: StorageMachine) -> Iterator[StorageMachine]:
    """Booted, with a disk for each state."""
    machine.vm.boot(
        virtio("config.img"),
        virtio("scratch.img"),
        *(virtio(f"{name}.img", name) for name in SMALL),
        virtio("TWIN1.img", "SAME"),
        virtio("TWIN2.img", "SAME"),
        nvme("NVME.img", "NV1"),
    )
    yield machine
    machine.vm.off()


def test_auto_finds_the_scratch_disk_and_says_why_no_other(lab: StorageMachine) -> None:
    decision = lab.plan(states.AUTO, size=SCRATCH_BYTES)
    assert isinstance(decision, Format)
    assert decision.device.path == "/dev/vdc"
    why = {item.path: item.reason for item in decision.rejected}
    assert why["/dev/vda"] == "it is part of what is mounted at /"
    assert why["/dev/vdb"] == "it is the config drive"
    assert "5120.0 GiB is expected" in why["/dev/nvme0n1"]
    assert "only whole disks" in why["/dev/sr0"]


def test_auto_does_not_guess(lab: StorageMachine) -> None:
    lab.refused(states.AUTO_MANY, "auto", "BLANK", counted="/dev/vdc")


def test_the_running_system_and_the_config_drive_are_out_of_reach(lab: StorageMachine) -> None:
    assert "it is the config drive" in lab.refused(states.CONFIG_DRIVE, "/dev/vdb", "config")
    # No hash here: the system writes to its disk all the time.
    decision = lab.plan(states.ROOT, "/dev/vda")
    assert isinstance(decision, Refuse)
    assert "mounted at /" in decision.failure.why[0]
    assert decision.token is None


def test_identity_of_virtio_and_nvme(lab: StorageMachine) -> None:
    plain = lab.plan(states.VIRTIO, "/dev/vdc")
    assert isinstance(plain, Format)
    assert re.fullmatch(rf"pci-0000:00:\w\w\.0\+{SCRATCH_BYTES}", str(plain.device.identity))
    serial = lab.plan(states.BY_ID, f"{BY_ID}BLANK")
    assert isinstance(serial, Format)
    assert str(serial.device.identity) == "BLANK"
    assert serial.device.by_id == (f"{BY_ID}BLANK",)
    fast = lab.plan(states.NVME, "/dev/nvme0n1")
    assert isinstance(fast, Format)
    assert str(fast.device.identity).startswith("nvme.1b36-")


def test_lvm_active_and_inactive(lab: StorageMachine) -> None:
    device = f"{BY_ID}LVM"
    lab.vm.ok(
        f"pvcreate -qq {device}; vgcreate -qq vg {device}; lvcreate -qq -y -L 350M -n lv vg;"
        "vgchange -ay --config 'activation{auto_activation_volume_list=[\"vg\"]}' vg >/dev/null"
    )
    lab.refused(states.LVM_ACTIVE, device, "LVM")
    blank = lab.plan(states.LVM_BLANK, "/dev/vg/lv")
    assert isinstance(blank, Format)
    assert blank.device.kind == "lvm"
    lab.vm.ok("udevadm settle; vgchange -an vg >/dev/null")
    lab.refused(states.LVM_INACTIVE, device, "LVM")


def test_md_active_and_stopped(lab: StorageMachine) -> None:
    devices = f"{BY_ID}MD1 {BY_ID}MD2"
    # Read-only, or md itself writes to the disks while their bytes are compared.
    lab.vm.ok(
        f"mdadm -q --create /dev/md0 --run --level=1 --raid-devices=2 --assume-clean {devices}"
        " 2>&1; mdadm --wait-clean /dev/md0;"
        # Busy as long as udev looks at it.
        "timeout 60 sh -c 'until udevadm settle && mdadm -q --readonly /dev/md0; do sleep 1; done'"
    )
    lab.refused(states.MD_ACTIVE, f"{BY_ID}MD1", "MD1")
    lab.vm.ok(
        "timeout 60 sh -c 'until udevadm settle && mdadm -q --stop /dev/md0; do sleep 1; done'"
    )
    lab.refused(states.MD_STOPPED, f"{BY_ID}MD2", "MD2")


def test_luks_open_and_closed_and_the_token_that_names_its_serial(lab: StorageMachine) -> None:
    device = f"{BY_ID}LUKS"
    lab.vm.ok(
        f"modprobe dm-crypt; printf word > /run/key; cryptsetup luksFormat -q --type luks1 "
        f"--iter-time 10 --key-file /run/key {device};"
        f"cryptsetup open --key-file /run/key {device} secret"
    )
    lab.refused(states.LUKS_OPEN, device, "LUKS")
    lab.vm.ok("udevadm settle; cryptsetup close secret")
    text = lab.refused(states.LUKS_CLOSED, device, "LUKS")
    assert f"--data wipe=vm:{device}:LUKS" in text
    for wrong in (f"vm:{device}:OTHER", f"vm2:{device}:LUKS", f"vm:{BY_ID}DM:LUKS"):
        lab.refused(states.OTHER_SERIAL, device, "LUKS", wipe=wrong)


def create_bad(lab: StorageMachine, table: str) -> None:
    """A device of device mapper; by its UUID lsblk takes it for one of multipath."""
    lab.vm.write("/run/table", table)
    lab.vm.ok("modprobe dm-flakey; dmsetup create bad --uuid mpath-bad /run/table; udevadm settle")


def test_reads_that_fail(lab: StorageMachine) -> None:
    device = f"{BY_ID}DM"
    bad = spans(SMALL_BYTES)[30][0] // 512
    linear = f"linear {device}"
    create_bad(
        lab,
        f"0 {bad} {linear} 0\n{bad} 8 error\n{bad + 8} {SECTORS - bad - 8} {linear} {bad + 8}\n",
    )
    lab.refused(states.ONE_BAD_SECTOR, "/dev/mapper/bad", "DM")
    for state, target in (
        (states.ALL_BAD, "error"),
        (states.FLAKEY, f"flakey {device} 0 0 60"),
    ):
        lab.vm.ok("udevadm settle; dmsetup remove --retry bad")
        create_bad(lab, f"0 {SECTORS} {target}\n")
        lab.refused(state, "/dev/mapper/bad", "DM")
    lab.vm.ok("udevadm settle; dmsetup remove --retry bad")


def test_writes_that_fail(lab: StorageMachine) -> None:
    """Reads are right and the disk is blank, so that mkfs starts, and cannot end."""
    table = f"0 {SECTORS} flakey {BY_ID}DM 0 0 60 1 error_writes"
    create_bad(lab, f"{table}\n")
    lab.plan(states.WRITES_FAIL, "/dev/mapper/bad")
    code, text = lab.deploy(DEPLOY, device="/dev/mapper/bad")
    assert code == 1, text
    assert "mkfs.xfs" in text
    assert "Traceback" not in text
    left = "{ findmnt /mnt/models; grep -c models /etc/fstab; } || true"
    assert lab.vm.ok(left).split() == ["0"]
    lab.vm.ok("udevadm settle; dmsetup remove --retry bad")
    assert lab.sha256("DM") == hashlib.sha256(bytes(SMALL_BYTES)).hexdigest()


def test_partitions_by_udev(lab: StorageMachine) -> None:
    lab.vm.ok(f"echo ',,L' | sfdisk -q --label gpt {BY_ID}PART; udevadm settle")
    for state, device in (
        (states.GPT_PARTITION, f"{BY_ID}PART-part1"),
        (states.GPT_DISK, f"{BY_ID}PART"),
    ):
        decision = lab.plan(state, device)
        assert isinstance(decision, Format)
        assert decision.device.kind == "part"
        assert decision.device.by_id == (f"{BY_ID}PART-part1",)
        assert str(decision.device.identity) == "PART"
    lab.vm.ok("echo ',,L' | sfdisk -q --label gpt /dev/nvme0n1; udevadm settle")
    decision = lab.plan(states.NVME_PARTITION, "/dev/nvme0n1")
    assert isinstance(decision, Format)
    assert decision.device.path == "/dev/nvme0n1p1"
    lab.vm.ok("wipefs -qaf /dev/nvme0n1p1 /dev/nvme0n1; udevadm settle")


def test_swap_in_use(lab: StorageMachine) -> None:
    lab.vm.ok(f"mkswap -q {BY_ID}SWAP; swapon {BY_ID}SWAP")
    lab.refused(states.SWAP, f"{BY_ID}SWAP", "SWAP")
    lab.vm.ok(f"swapoff {BY_ID}SWAP")


def test_two_disks_with_one_serial_number(lab: StorageMachine) -> None:
    text = lab.refused(states.TWINS, f"{BY_ID}SAME", "TWIN1")
    assert "has the same identity SAME" in text
