"""What this machine must have, asked before a droplet is made: nothing is left half-made."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab.commands import succeeds

# Program and the Debian package that it is in.
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mkfs.xfs": "xfsprogs",
    "slirp4netns": "slirp4netns",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "sysctl": "procps",
    "losetup": "mount",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}
BUILD_PROGRAMS = {"debootstrap": "debootstrap"}
# The log of a 5 TiB XFS takes 2 GiB; packages, images and GuideLLM's environment the rest.
NEEDED_GIB_PER_DROPLET = 6


def check(
    state: Path,
    droplets: int,
    build: bool,
    proc: Path = Path("/proc"),
    dev: Path = Path("/dev"),
    which: Callable[[str], str | None] = shutil.which,
) -> None:
    """Refuse a machine that cannot run droplets.

    + state: folder in which droplets are made
    + droplets: how many more are wanted
    + build: whether the base root has to be built
    + proc, dev, which: the machine; tests pass their own

    Raises :class:`FailedError`.
    """
    check_root()
    _check_programs({**PROGRAMS, **(BUILD_PROGRAMS if build else {})}, which)
    _check_kernel(proc, dev)
    _check_space(state, droplets)


def check_root(command: str | None = None) -> None:
    """Refuse anyone but root.

    + command: what to run instead; the same again with sudo unless given

    Raises :class:`FailedError`.
    """
    if os.geteuid() != 0:
        raise FailedError(
            Fault.LAB_NEEDS_ROOT,
            "the lab needs root: it makes loop devices, mounts and network namespaces",
            next=Do(command or f"sudo {_this_command()}"),
        )


def missing_in_kernel(proc: Path, dev: Path) -> tuple[tuple[str, str], ...]:
    """What this kernel lacks: name of it, and the module that would bring it."""
    known = (proc / "filesystems").read_text(encoding="ascii").split()
    lacks = [(name, name) for name in ("overlay", "xfs") if name not in known]
    lacks += [
        (str(node), module)
        for node, module in ((dev / "loop-control", "loop"), (dev / "net" / "tun", "tun"))
        if not node.exists()
    ]
    lacks += [
        (f"{kind} namespaces", "")
        for kind in ("net", "mnt", "pid", "uts", "ipc")
        if not (proc / "self" / "ns" / kind).exists()
    ]
    return tuple(lacks)


def _this_command() -> str:
    program = sys.argv[0]
    if program.endswith("__main__.py"):  # python -m
        program = f"{sys.executable} -m rocminfra.lab"
    return shlex.join([*shlex.split(program), *sys.argv[1:]])


def _check_programs(programs: dict[str, str], which: Callable[[str], str | None]) -> None:
    lacks = [program for program in programs if which(program) is None]
    if not lacks:
        return
    packages = sorted({programs[program] for program in lacks})
    raise FailedError(
        Fault.LAB_REQUIREMENT_MISSING,
        f"Debian packages are missing: {', '.join(packages)}",
        tuple(f"no {program} (package {programs[program]})" for program in lacks),
        Do(f"apt-get update && apt-get install -y {' '.join(packages)}"),
    )


def _check_kernel(proc: Path, dev: Path) -> None:
    lacks = missing_in_kernel(proc, dev)
    for module in _modules(lacks):
        succeeds(["modprobe", module])
    if lacks:
        lacks = missing_in_kernel(proc, dev)
    if not lacks:
        return
    modules = _modules(lacks)
    raise FailedError(
        Fault.LAB_MACHINE_UNFIT,
        f"this machine's kernel lacks: {', '.join(name for name, _ in lacks)}",
        ("in a container, ask for it to be started privileged, with these devices",),
        Do(f"modprobe -a {' '.join(modules)}" if modules else "use another machine"),
    )


def _modules(lacks: Iterable[tuple[str, str]]) -> list[str]:
    return [module for _, module in lacks if module]


def _check_space(state: Path, droplets: int) -> None:
    place = state
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1024**3
    needed = NEEDED_GIB_PER_DROPLET * droplets
    if free < needed:
        raise FailedError(
            Fault.LAB_NO_SPACE,
            f"{place} has {free:.1f} GiB free; {droplets} droplet(s) need {needed} GiB",
            next=Do("rocminfra lab clean, or make space"),
        )
