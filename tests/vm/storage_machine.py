"""The storage operation against a virtual machine, and the disks that it has."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from disk_vm_states import VmState
from vm import Vm

from rocminfra.facts.disks import Disks
from rocminfra.failure import lines
from rocminfra.planning.disk.decide import Decision, Format, Keep, Mount, Refuse, decide
from rocminfra.planning.disk.observation import Desired

MIB = 1024**2
SMALL_BYTES = 400 * MIB
SCRATCH_BYTES = 5120 * 1024**3
SMALL = ("LVM", "MD1", "MD2", "LUKS", "DM", "PART", "SWAP", "BLANK")
OTHERS = ("TWIN1", "TWIN2", "NVME")
BY_ID = "/dev/disk/by-id/virtio-"
SIZE = {"storage.expected_size_gib": "5120.0"}
DEPLOY = """\
from pyinfra import host

from rocminfra.operations import disk

given = {"device": host.data.device, "wipe": host.data.get("wipe") or ()}
disk.gate(**given)
disk.scratch(name="Scratch disk", **given)
"""
PLAYBOOK = """\
from pyinfra import local

local.include("tasks/storage.py")
local.include("tasks/docker.py")
"""


@dataclass
class StorageMachine:
    """``tried`` are the states whose decision was seen."""

    vm: Vm
    tried: set[VmState] = field(default_factory=set)

    def plan(self, state: VmState, device: str = "auto", size: int | None = None) -> Decision:
        """The decision about ``device``, which has to be the one of ``state``."""
        out = self.vm.ok(Disks().command(device=device, mount_point="/mnt/models"))
        desired = Desired("vm", device, expected_size=size)
        decision = decide(Disks().process(out.splitlines()), desired)
        assert type(decision).__name__ == state.decision, decision
        assert state.says in text_of(decision)
        self.tried.add(state)
        return decision

    def refused(
        self, state: VmState, device: str, file: str, counted: str | None = None, **data: str
    ) -> str:
        """Message, exit code, every byte of the disk, and the write counter of it (or another)."""
        before = self.contents(counted or device, file)
        code, text = self.deploy(DEPLOY, device=device, **data)
        assert code == 1, text
        assert state.decision == "Refuse"
        assert state.says in text
        assert ("--data wipe=" in text) == state.token
        assert "Traceback" not in text
        assert self.contents(counted or device, file) == before
        self.tried.add(state)
        return text

    def contents(self, device: str, file: str) -> tuple[str, str]:
        """Hash of the whole disk, and the sectors that were written to ``device``."""
        counter = f'cat /sys/block/"$(basename "$(readlink -f {shlex.quote(device)})")"/stat'
        return (self.sha256(file), self.vm.ok(counter).split()[6])

    def sha256(self, file: str) -> str:
        """Hash of a whole disk."""
        self.vm.ok("sync")
        with open(self.vm.folder / f"{file}.img", "rb") as image:
            return hashlib.file_digest(image, "sha256").hexdigest()

    def deploy(self, deploy: str, **data: str) -> tuple[int, str]:
        """Run the text of a deploy file; exit code and what was printed."""
        path: Path = self.vm.folder / "deploy.py"
        path.write_text(deploy)
        return self.vm.pyinfra(path, **data)

    def units(self) -> list[str]:
        """What systemd says of the mount, of Docker and of the engine."""
        states = "systemctl is-active mnt-models.mount docker.service vllm.service || true"
        return self.vm.ok(states).split()


def text_of(decision: Decision) -> str:
    """Everything that a decision says."""
    if isinstance(decision, Refuse):
        return "\n".join(lines(decision.failure))
    assert isinstance(decision, Keep | Mount | Format)
    return "\n".join((*decision.reasons, *map(str, decision.rejected)))


def make_disks(vm: Vm) -> None:
    """Files for all disks, blank but for the config drive."""
    vm.disk("scratch", SCRATCH_BYTES)
    config_drive(vm.disk("config", 2 * MIB))
    for name in (*SMALL, *OTHERS):
        vm.disk(name, SMALL_BYTES)


def config_drive(image: Path) -> None:
    """The volume descriptors of an ISO 9660 file system labelled as cloud-init wants it."""
    first = b"\x01CD001\x01\0" + b"LINUX".ljust(32) + b"config-2".ljust(32)
    with open(image, "r+b") as file:
        file.seek(16 * 2048)
        file.write(first)
        file.seek(17 * 2048)
        file.write(b"\xffCD001\x01")
