"""A whole machine in QEMU, without KVM: real boots, udev, serial numbers, device mapper and md."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from vm_image import VmImage

ROOT = Path(__file__).parents[2]
BOOT_DEADLINE_S = 240


@dataclass
class Vm:
    """One machine; its disks are files in ``folder`` and may change from boot to boot."""

    image: VmImage
    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    overlay: Path = field(init=False)

    def __post_init__(self) -> None:
        self.overlay = self.folder / "root.qcow2"
        subprocess.run(
            [
                *("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw"),
                *("-b", str(self.image.root), str(self.overlay)),
            ],
            check=True,
        )

    def disk(self, name: str, size: int) -> Path:
        """A blank disk; one of that name is created again."""
        path = self.folder / f"{name}.img"
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def boot(self, *disks: str) -> None:
        """Start with ``disks``: QEMU's -device texts, ``FILE,device`` each, in this order."""
        assert self.process is None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "max"),
            *("-smp", "2", "-m", "2048", "-nographic", "-no-reboot"),
            *("-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd)),
            *("-append", "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0"),
            *("-drive", f"file={self.overlay},if=none,id=root"),
            *("-device", "virtio-blk-pci,drive=root"),
            *("-netdev", f"user,id=lan,hostfwd=tcp:127.0.0.1:{self.port}-:22"),
            # Without its boot ROM, which would look for a network to boot from.
            *("-device", "virtio-net-pci,netdev=lan,romfile="),
        ]
        for index, text in enumerate(disks):
            file, device = text.split(",", 1)
            command += ["-drive", f"file={self.folder / file},if=none,id=d{index},format=raw"]
            command += ["-device", f"{device},drive=d{index}"]
        console = open(self.folder / "console.log", "ab")  # noqa: SIM115
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
        )
        console.close()
        deadline = time.monotonic() + BOOT_DEADLINE_S
        while self.ssh("systemctl is-system-running --wait").stdout.strip() not in (
            "running",
            "degraded",
        ):
            log = (self.folder / "console.log").read_text(errors="replace")[-2000:]
            assert self.process.poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(1)

    def off(self) -> None:
        """Shut down; what the guest has not written by then it writes now."""
        if self.process is None:
            return
        self.ssh("systemctl poweroff")
        try:
            self.process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ssh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script as root."""
        return subprocess.run(
            [
                *("ssh", "-i", str(self.image.key), "-p", str(self.port), "-F", "/dev/null"),
                *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
                *("-o", "ConnectTimeout=20", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"),
                *("root@127.0.0.1", script),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def ok(self, script: str) -> str:
        """Output of a shell script, which has to succeed."""
        done = self.ssh(f"set -eu; {script}")
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Have a file with this text, and the folder it is in."""
        folder = shlex.quote(str(Path(path).parent))
        self.ok(f"mkdir -p {folder}; printf %s {shlex.quote(text)} > {shlex.quote(path)}")

    def pyinfra(self, deploy: Path, *options: str, **data: str) -> tuple[int, str]:
        """Run a deploy against the machine, whose name in the inventory is ``vm``."""
        inventory = self.folder / "inventory.py"
        login = {
            "ssh_hostname": "127.0.0.1",
            "ssh_port": self.port,
            "ssh_user": "root",
            "ssh_key": str(self.image.key),
            "ssh_known_hosts_file": str(self.folder / "known_hosts"),
        }
        inventory.write_text(f"hosts = [('vm', {login!r})]\n")
        pairs = [part for key, value in data.items() for part in ("--data", f"{key}={value}")]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pyinfra", str(inventory), str(deploy)),
                *(options or ("-y",)),
                *pairs,
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYINFRA_PROGRESS": "off"},
        )
        return done.returncode, done.stdout + done.stderr


def virtio(file: str, serial: str = "") -> str:
    """A virtio disk, with a serial number or without."""
    return f"{file},virtio-blk-pci" + (f",serial={serial}" if serial else "")


def nvme(file: str, serial: str) -> str:
    """An NVMe disk."""
    return f"{file},nvme,serial={serial}"
