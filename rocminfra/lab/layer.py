"""A droplet's own layer over the base root: what makes it this droplet and no other."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from pathlib import Path

from rocminfra.lab import guest, keys, machine
from rocminfra.lab.base_root import install
from rocminfra.lab.droplet_record import Droplet
from rocminfra.lab.loop_disk import Loop
from rocminfra.lab.paths import LabPaths

# Address of slirp4netns' own name server in its network 10.0.2.0/24 (slirp4netns(1)).
NAME_SERVER = "10.0.2.3"
DROPLET_CACHE = "/var/cache/rocminfra-lab"
VRAM_MIB = 196_288  # one MI300X as amd-smi reports it on an SR-IOV guest
_LIBRARY = "/usr/local/lib/rocminfra-lab"
_UNITS = ("rocminfra-lab-devices.service", "rocminfra-lab-gpu.service")
# File of `guest`: where it goes, and its mode.
_GUEST_FILES = {
    "apt.conf": ("/etc/apt/apt.conf.d/95rocminfra-lab", 0o644),
    "sshd.conf": ("/etc/ssh/sshd_config.d/10-rocminfra-lab.conf", 0o644),
    **{unit: (f"/etc/systemd/system/{unit}", 0o644) for unit in _UNITS},
    "gpu_files.sh": (f"{_LIBRARY}/gpu_files.sh", 0o755),
    "devices.sh": (f"{_LIBRARY}/devices.sh", 0o755),
    "save_debs.sh": (f"{_LIBRARY}/save_debs.sh", 0o755),
    "amd_smi.py": ("/opt/rocm/bin/amd-smi", 0o755),
}


def make(paths: LabPaths, droplet: Droplet, disk: Loop) -> None:
    """Write the layer of ``droplet`` into ``upper`` below its folder.

    Raises :class:`FailedError`.
    """
    folder = paths.droplet(droplet.name)
    upper, base = folder / "upper", Path(droplet.base)
    for name in ("upper", "work", "root", "docker", "containerd"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    private, public = keys.host_key(folder, droplet)
    login = keys.lab_key(paths)
    gpu = {"rocm": droplet.rocm, "time_scale": droplet.time_scale, "vram_mib": VRAM_MIB}
    proxies = machine.proxies()
    files: dict[str, tuple[str | bytes, int]] = {
        "/etc/hostname": (f"{droplet.name}\n", 0o644),
        "/etc/hosts": (
            f"127.0.0.1 localhost\n::1 localhost\n{droplet.address} {droplet.name}\n",
            0o644,
        ),
        "/etc/machine-id": (f"{uuid.uuid4().hex}\n", 0o444),
        "/etc/resolv.conf": (f"nameserver {NAME_SERVER}\n", 0o644),
        "/etc/ssh/ssh_host_ed25519_key": (private, 0o600),
        "/etc/ssh/ssh_host_ed25519_key.pub": (public, 0o644),
        "/root/.ssh/authorized_keys": (login, 0o600),
        "/home/ops/.ssh/authorized_keys": (login, 0o600),
        "/etc/pip.conf": (
            machine.pip_conf(machine.pip_settings(), f"{DROPLET_CACHE}/pip"),
            0o644,
        ),
        "/etc/environment": ("".join(f"{k}={v}\n" for k, v in proxies.items()), 0o644),
        "/etc/rocminfra-lab/disk": (f"{disk.name}\n", 0o644),
        "/etc/rocminfra-lab/gpu.json": (json.dumps(gpu) + "\n", 0o644),
    }
    for name, (path, mode) in _GUEST_FILES.items():
        files[path] = (guest.text(name), mode)
    for path, (contents, mode) in files.items():
        install(upper, base, path, contents, mode)
    wanted = upper / "etc/systemd/system/sysinit.target.wants"
    wanted.mkdir(exist_ok=True)
    for unit in _UNITS:
        (wanted / unit).symlink_to(f"../{unit}")
    _lend_packages(paths.debs(droplet.release), upper, base)


def binds(paths: LabPaths, droplet: Droplet) -> tuple[tuple[Path, str, bool], ...]:
    """Folders of this machine that ``droplet`` sees: here, there, and whether it may write."""
    folder = paths.droplet(droplet.name)
    own = [
        # overlay2 does not stack on an overlay.
        (folder / "docker", "/var/lib/docker", True),
        (folder / "containerd", "/var/lib/containerd", True),
        (paths.assets, "/srv/rocminfra", False),
        (paths.debs(droplet.release), f"{DROPLET_CACHE}/debs", True),
        (paths.wheels, f"{DROPLET_CACHE}/pip", True),
    ]
    named = machine.local_paths(machine.pip_settings())
    return (*own, *((path, str(path), False) for path in named))


def make_caches(paths: LabPaths, release: str) -> None:
    """The cache's folders; root's only, so that nobody else can put a package there.

    + release: codename of the droplets that use them
    """
    for folder in (paths.assets, paths.debs(release), paths.wheels):
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, 0, 0)


def _lend_packages(debs: Path, upper: Path, base: Path) -> None:
    """Packages of earlier droplets where apt looks first; its own lock stays its own."""
    place = "/var/cache/apt/archives"
    install(upper, base, f"{place}/lock", b"", 0o640)
    for deb in debs.glob("*.deb"):
        target = upper / place.lstrip("/") / deb.name
        with contextlib.suppress(FileNotFoundError):
            try:
                os.link(deb, target)
            except OSError:  # another file system
                shutil.copyfile(deb, target)
