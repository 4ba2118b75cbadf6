"""Control groups of a droplet on a machine that systemd does not run, of either version.

Where systemd runs it owns the tree, and a scope of its own with delegation is what a droplet gets
(see `container`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault

PREFIX = "rocminfra-lab-"
# Where systemd puts scopes (systemd.special(7)); `container` asks for it by name.
SLICE = "system.slice"


@dataclass(frozen=True)
class Hierarchy:
    """A mounted hierarchy of control groups.

    + path: where it is mounted
    + unified: whether it is version 2
    """

    path: Path
    unified: bool


def hierarchies(mountinfo: str | None = None) -> tuple[Hierarchy, ...]:
    """Every mounted hierarchy.

    + mountinfo: a text of ``/proc/self/mountinfo``; this process's own unless given
    """
    if mountinfo is None:
        mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split(" ", 1)[0]
        if kind in ("cgroup", "cgroup2"):
            found.append(Hierarchy(Path(before.split(" ")[4]), kind == "cgroup2"))
    return tuple(found)


def run_by_systemd() -> bool:
    """Whether systemd is this machine's init (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def make(name: str) -> tuple[Path, ...]:
    """Make group ``name`` in every hierarchy and return the ``cgroup.procs`` files to enter.

    Raises :class:`FailedError` when no hierarchy is mounted, or they are read-only.
    """
    entries = []
    mounted = hierarchies()
    if not mounted:
        raise FailedError(
            Fault.LAB_CONTROL_GROUPS,
            "no control groups are mounted",
            next=Do("mount -t cgroup2 none /sys/fs/cgroup"),
        )
    for hierarchy in mounted:
        folder = hierarchy.path / name
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise FailedError(
                Fault.LAB_CONTROL_GROUPS,
                f"control groups are not writable here: {error}",
                next=Do("run the lab on a machine, or in a privileged container"),
            ) from None
        if hierarchy.unified:
            _delegate(hierarchy.path)
        else:
            _start_cpuset(hierarchy.path, folder)
        entries.append(folder / "cgroup.procs")
    return tuple(entries)


def left(names: Iterable[str] | None = None) -> tuple[Path, ...]:
    """Groups of the lab that are there; those of droplets ``names`` only, if given."""
    wanted = None if names is None else {PREFIX + name for name in names}
    found = []
    for hierarchy in hierarchies():
        with contextlib.suppress(OSError):
            own = hierarchy.path.glob(f"{PREFIX}*")
            scopes = (hierarchy.path / SLICE).glob(f"{PREFIX}*.scope")
            for folder in sorted((*own, *scopes)):
                name = folder.name.removesuffix(".scope")
                if folder.is_dir() and (wanted is None or name in wanted):
                    found.append(folder)
    return tuple(found)


def processes(folder: Path) -> tuple[int, ...]:
    """Processes in a group and the groups below it."""
    found = []
    for place, _, files in os.walk(folder):
        if "cgroup.procs" in files:
            with contextlib.suppress(OSError):
                text = Path(place, "cgroup.procs").read_text(encoding="ascii")
                found += [int(word) for word in text.split()]
    # 0 stands for a process outside this process' own namespace, and for kill(2) it is worse.
    return tuple(pid for pid in found if pid > 0)


def remove(folder: Path) -> bool:
    """Remove a group and those below it; False while processes are in it."""
    for place, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(place)
    return not folder.exists()


def _delegate(root: Path) -> None:
    """Version 2: let the groups below have what controllers there are, for Docker's sake."""
    with contextlib.suppress(OSError):
        controllers = (root / "cgroup.controllers").read_text(encoding="ascii").split()
        for controller in controllers:
            with contextlib.suppress(OSError):
                (root / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")


def _start_cpuset(root: Path, folder: Path) -> None:
    """Version 1: a new cpuset is empty, and takes no process until it is not."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (folder / name).exists():
            with contextlib.suppress(OSError):
                (folder / name).write_text(
                    (root / name).read_text(encoding="ascii"), encoding="ascii"
                )
