"""Real boots: what systemd says of the mount, of Docker and of the engine after each."""

from __future__ import annotations

import disk_vm_states as states
import pytest
from storage_machine import PLAYBOOK, SCRATCH_BYTES, SIZE, StorageMachine
from vm import virtio

from rocminfra.planning.disk.decide import Keep
from rocminfra.rendering import vllm_unit
from rocminfra.settings import Settings

pytestmark = pytest.mark.vm
# The engine's real unit, with nothing to run: there is neither a GPU nor an image here.
NO_ENGINE = """\
[Unit]
AssertPathExists=
[Service]
ExecStart=
ExecStart=/bin/sleep infinity
ExecStop=
"""
CONFIG = virtio("config.img")
SCRATCH = virtio("scratch.img")


@pytest.fixture(scope="module")
def uuid(machine: StorageMachine) -> str:
    """Formatted, mounted, Docker on it, the engine's unit enabled; then shut down."""
    vm = machine.vm
    vm.boot(CONFIG, SCRATCH)
    code, text = machine.deploy(PLAYBOOK, **SIZE)
    assert code == 0, text
    unit = vllm_unit(Settings(), image="none", group_ids=(), config_hash="0" * 64)
    vm.write("/etc/systemd/system/vllm.service", unit)
    vm.write("/etc/systemd/system/vllm.service.d/none.conf", NO_ENGINE)
    vm.write("/usr/local/lib/rocminfra/preflight.py", "")
    vm.ok("systemctl daemon-reload; systemctl enable -q --now vllm.service")
    assert machine.units() == ["active"] * 3
    vm.ok("touch /mnt/models/weights; sync")
    kept = machine.plan(states.DEPLOYED, size=SCRATCH_BYTES)
    assert isinstance(kept, Keep)
    vm.off()
    return kept.uuid


def test_still_mounted_when_the_disk_has_another_name(machine: StorageMachine, uuid: str) -> None:
    vm = machine.vm
    vm.boot(virtio("BLANK.img"), CONFIG, virtio("PART.img"), SCRATCH)
    assert machine.units() == ["active"] * 3
    assert "/dev/vde" in vm.ok("findmnt -no SOURCE /mnt/models; ls /mnt/models/weights")
    kept = machine.plan(states.REBOOTED, size=SCRATCH_BYTES)
    assert isinstance(kept, Keep)
    assert kept.uuid == uuid
    before = vm.ok("systemctl show -p InvocationID docker vllm; find /etc /mnt -printf '%p %T@\\n'")
    code, text = machine.deploy(PLAYBOOK, **SIZE)
    assert code == 0, text
    after = vm.ok("systemctl show -p InvocationID docker vllm; find /etc /mnt -printf '%p %T@\\n'")
    assert after == before
    vm.off()


def test_blank_after_a_power_cycle(machine: StorageMachine, uuid: str) -> None:
    vm = machine.vm
    vm.disk("scratch", SCRATCH_BYTES)
    vm.boot(CONFIG, SCRATCH)
    assert machine.units() == ["inactive"] * 3
    assert "failed" in vm.ssh("systemctl start docker 2>&1").stdout
    # Nothing can land on the root disk below the mount point.
    assert vm.ssh("touch /mnt/models/x 2>&1").stdout.count("not permitted") == 1
    machine.plan(states.BLANK_AGAIN, size=SCRATCH_BYTES)
    code, text = machine.deploy(PLAYBOOK, **SIZE)
    assert code == 0, text
    assert f"it gets UUID {uuid}" in text
    kept = machine.plan(states.DEPLOYED, size=SCRATCH_BYTES)
    assert isinstance(kept, Keep)
    assert kept.uuid == uuid
    vm.ok("systemctl start vllm.service; test -d /mnt/models/docker")
    assert machine.units() == ["active"] * 3
    vm.off()


def test_missing(machine: StorageMachine, uuid: str) -> None:
    vm = machine.vm
    vm.boot(CONFIG)
    assert machine.units() == ["inactive"] * 3
    for unit in ("docker", "vllm"):
        assert "failed" in vm.ssh(f"systemctl start {unit} 2>&1").stdout
    assert vm.ok("ls -A /mnt/models") == ""
    code, text = machine.deploy(PLAYBOOK, **SIZE)
    assert code == 1
    machine.plan(states.ABSENT, size=SCRATCH_BYTES)
    assert states.ABSENT.says in text
    assert "Traceback" not in text
    vm.off()


def test_another_disk_with_our_label_in_its_place(machine: StorageMachine, uuid: str) -> None:
    vm = machine.vm
    vm.disk("scratch", SCRATCH_BYTES)
    vm.boot(CONFIG, SCRATCH)
    vm.ok("mkfs.xfs -q -L rocm-models /dev/vdc; udevadm settle")
    counter = vm.ok("cat /sys/block/vdc/stat").split()[6]
    code, text = machine.deploy(PLAYBOOK, **SIZE)
    assert code == 1
    machine.plan(states.SWAPPED, size=SCRATCH_BYTES)
    assert states.SWAPPED.says in text
    assert vm.ok("cat /sys/block/vdc/stat").split()[6] == counter
    assert machine.units() == ["inactive"] * 3
    # Even mounted by hand it does not pass for the scratch disk: the guard compares its UUID.
    vm.ok("mount /dev/vdc /mnt/models")
    for unit in ("docker", "vllm"):
        assert "failed" in vm.ssh(f"systemctl start {unit} 2>&1").stdout
    vm.off()


def test_every_state_of_the_page_was_tried(machine: StorageMachine, uuid: str) -> None:
    """With the tests of all disks before it, which a choice of tests may leave out."""
    disks = {state for state in states.VM_STATES if state not in states.BOOTS}
    assert set(states.BOOTS) <= machine.tried
    if machine.tried & disks:
        assert machine.tried == set(states.VM_STATES)
