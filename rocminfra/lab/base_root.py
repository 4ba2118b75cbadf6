"""The base root file system that every droplet is an overlay of; made once, by debootstrap."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab import guest, machine, releases, removal
from rocminfra.lab.lock import exclusive
from rocminfra.lab.machine import Release
from rocminfra.lab.paths import is_base

Say = Callable[[str], None]

# Part of the key: raise it when a file below is changed in a way that the key does not see.
RECIPE = 1
# What an Ubuntu server image has as well and the playbook, or whoever looks around, needs. Docker
# is not among them: installing it is the playbook's job.
PACKAGES = (
    "systemd,systemd-sysv,dbus,openssh-server,python3,python3-venv,iproute2,sudo,ca-certificates,"
    "kmod,procps,util-linux,xfsprogs,fdisk,less,iputils-ping,netbase"
)
# debootstrap and its second stage; a mirror that is this slow is as good as gone.
BUILD_TIMEOUT_S = 1200
LOCK_WAIT_S = 1200
NEEDED_BYTES = 2 * 1024**3


def ensure(cache: Path, in_use: Collection[str], say: Say, codename: str | None = None) -> Path:
    """The base root in ``cache``, built if it is not there.

    + cache: the lab's cache; the root is built beside its final place and renamed, so that a
      killed build leaves nothing that could be taken for a root
    + in_use: base roots of droplets that are up; other old ones make room for a new one
    + say: told what is being done
    + codename: of the release; this machine's own unless given

    Raises :class:`FailedError`.
    """
    release = releases.chosen(codename)
    files = base_files(release)
    final = cache / f"base-{release.codename}-{key(release, files)}"
    if final.is_dir():
        return final
    with exclusive("base", LOCK_WAIT_S, cache / ".locks", say):
        if final.is_dir():  # another process has built it meanwhile
            return final
        remove_old(cache, in_use, release.codename)
        _check_space(cache)
        building = cache / f"{final.name}.building-{os.getpid()}"
        try:
            _build(building, release, files, cache, say)
            building.rename(final)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return final


def is_built(cache: Path, codename: str) -> bool:
    """Whether ``cache`` has some base root of a release; it may be of another key."""
    return any(cache.glob(f"base-{codename}-????????????"))


def remove_old(cache: Path, in_use: Collection[str], codename: str) -> None:
    """Remove a release's base roots of other keys, and what killed builds of it left.

    + in_use: base roots of droplets that are up; they stay
    + codename: of the release; base roots of others stay, as does whatever is none
    """
    for folder in cache.glob(f"base-{codename}-*"):
        if is_base(folder) and str(folder) not in in_use and not removal.mounts_below(folder):
            shutil.rmtree(folder, ignore_errors=True)


def key(release: Release, files: Mapping[str, tuple[bytes, int]]) -> str:
    """Twelve hex digits over everything that goes into a base root but the mirror's contents."""
    digest = hashlib.sha256()
    parts = [RECIPE, PACKAGES, release.distribution, release.codename, release.architecture]
    digest.update(json.dumps(parts).encode())
    digest.update(guest.text("prepare_base.sh").encode())
    for path in sorted(files):
        contents, mode = files[path]
        digest.update(f"{path} {mode} {len(contents)}\n".encode())
        digest.update(contents)
    return digest.hexdigest()[:12]


def base_files(release: Release) -> dict[str, tuple[bytes, int]]:
    """Files of this machine that a base root gets: path, and contents with mode."""
    files: dict[str, tuple[bytes, int]] = {}
    for path, contents in {**releases.apt_files(release), **machine.certificates()}.items():
        files[path] = (contents, 0o644)
    files["/etc/apt/apt.conf.d/90machine"] = (machine.apt_acquire().encode(), 0o644)
    files["/etc/dpkg/dpkg.cfg.d/90lab"] = (b"force-unsafe-io\n", 0o644)
    return files


def _build(
    root: Path, release: Release, files: Mapping[str, tuple[bytes, int]], cache: Path, say: Say
) -> None:
    mirror = releases.mirror(release)
    if shutil.which("debootstrap") is None:
        raise FailedError(
            Fault.LAB_REQUIREMENT_MISSING,
            "debootstrap is not installed",
            next=Do("apt-get install debootstrap"),
        )
    say(f"building the base root of {release.codename} with debootstrap (1 to 3 minutes, once)")
    packages = cache / "debootstrap-debs" / release.codename
    packages.mkdir(parents=True, exist_ok=True)
    _contained(
        [
            "debootstrap",
            "--variant=minbase",
            f"--include={PACKAGES}",
            f"--components={','.join(mirror.components)}",
            f"--cache-dir={packages}",
            release.codename,
            str(root),
            mirror.uri,
        ],
        f"debootstrap could not build the base root of {release.codename}",
    )
    say("base root: certificates, users, services, package index")
    for path, (contents, mode) in files.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents)
        file.chmod(mode)
    if any(path.startswith("/etc/apt/sources.list.d/") for path in files) and (
        "/etc/apt/sources.list" not in files
    ):
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    script = root / "prepare_base.sh"
    script.write_text(guest.text("prepare_base.sh"), encoding="utf-8")
    _contained(["chroot", str(root), "/bin/sh", "/prepare_base.sh"], "the base root is not usable")
    script.unlink()


def _contained(command: list[str], what: str) -> None:
    """Run ``command`` so that no mount and no process of it can outlive this process."""
    wrapped = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]
    wrapped += ["--kill-child=KILL", "--mount-proc", *command]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        result = subprocess.run(
            wrapped,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_TIMEOUT_S,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise FailedError(
            Fault.LAB_BASE_ROOT_FAILED,
            f"{what}: it took longer than {BUILD_TIMEOUT_S} s",
            next=Do("apt-get update, to see whether this machine's mirror answers"),
        ) from None
    if result.returncode != 0:
        raise FailedError(
            Fault.LAB_BASE_ROOT_FAILED,
            f"{what} (exit code {result.returncode})",
            tuple(result.stdout.splitlines()[-15:]),
            Do("apt-get update, to see whether this machine's mirror answers"),
        )


def _check_space(cache: Path) -> None:
    free = shutil.disk_usage(cache).free
    if free < NEEDED_BYTES:
        raise FailedError(
            Fault.LAB_NO_SPACE,
            f"{cache} has {free / 1024**3:.1f} GiB free; the base root needs "
            f"{NEEDED_BYTES / 1024**3:.0f} GiB to be built",
            next=Do("make space, or: export ROCMINFRA_LAB_CACHE=/a/larger/disk"),
        )


def install(root: Path, base: Path, path: str, contents: str | bytes, mode: int = 0o644) -> None:
    """Write a file into ``root``, the upper layer over ``base``.

    Folders that the base has keep its mode and owner: in an overlay the upper layer's count.
    """
    folder = root
    for part in Path(path.lstrip("/")).parent.parts:
        folder = folder / part
        if folder.exists():
            continue
        folder.mkdir()
        below = base / folder.relative_to(root)
        if below.is_dir():
            info = below.stat()
            os.chown(folder, info.st_uid, info.st_gid)
            folder.chmod(stat.S_IMODE(info.st_mode))
    file = root / path.lstrip("/")
    file.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    file.chmod(mode)
    os.chown(file, folder.stat().st_uid, folder.stat().st_gid)
