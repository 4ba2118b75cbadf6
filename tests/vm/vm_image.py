"""The virtual machine's disk image: the droplet's base root with a kernel, udev, LVM and md."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from rocminfra.lab import base_root
from rocminfra.lab.lock import exclusive

PREPARE = Path(__file__).with_name("prepare_vm.sh")
SIZE = "4G"
OLD_S = 24 * 3600


@dataclass(frozen=True)
class VmImage:
    """What QEMU needs to boot."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.img"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd.img"

    @property
    def key(self) -> Path:
        return self.folder / "key"


def ensure(cache: Path) -> VmImage:
    """The image in ``cache``, built if it is not there: one to three minutes, once."""
    base = base_root.ensure(cache, (), print)
    digest = hashlib.sha256(base.name.encode() + PREPARE.read_bytes()).hexdigest()[:12]
    final = cache / f"vm-{digest}"
    with exclusive("vm", wait_s=1200, folder=cache / ".locks"):
        if final.is_dir():
            return VmImage(final)
        for old in cache.glob("vm-*"):
            # Another checkout's tests may be running on one that is newer.
            if old.stat().st_mtime < time.time() - OLD_S:
                shutil.rmtree(old)
        shutil.rmtree(cache / f"vm-{digest}.building", ignore_errors=True)
        building = cache / f"vm-{digest}.building"
        building.mkdir()
        _build(base, building)
        building.rename(final)
    return VmImage(final)


def _build(base: Path, folder: Path) -> None:
    root = folder / "root"
    subprocess.run(["cp", "-a", str(base), str(root)], check=True)
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    shutil.copyfile(PREPARE, root / "prepare_vm.sh")
    contained = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]
    contained += ["--kill-child=KILL", "--mount-proc"]
    script = (
        'mount --bind /dev "$1/dev"; mount -t proc proc "$1/proc"; mount -t sysfs sysfs "$1/sys";'
        'exec chroot "$1" sh /prepare_vm.sh'
    )
    done = subprocess.run(
        [*contained, "sh", "-euc", script, "sh", str(root)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vm", "-f", str(folder / "key")],
        check=True,
    )
    keys = root / "root/.ssh/authorized_keys"
    keys.write_bytes((folder / "key.pub").read_bytes())
    keys.chmod(0o600)
    for name in ("vmlinuz", "initrd.img"):
        (found,) = (root / "boot").glob(f"{name}-*")
        shutil.copyfile(found, folder / name)
    image = folder / "root.img"
    subprocess.run(["truncate", "-s", SIZE, str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-d", str(root), str(image)], check=True)
    shutil.rmtree(root)
