"""A practice droplet as tests use it: by SSH, with the lab's own key."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rocminfra.failure import FailedError, Fault
from rocminfra.lab import (
    container,
    control_groups,
    droplet_record,
    droplets,
    keys,
    processes,
    removal,
)
from rocminfra.lab.droplet_record import Droplet
from rocminfra.lab.droplets import Wanted
from rocminfra.lab.paths import default_paths

# Names tell whose they are: a developer's own droplets are never touched, and those of a test run
# that was killed are known.
PREFIX = f"test-{os.getpid()}-"
_OURS = re.compile(r"test-(\d+)-")
PATHS = default_paths()
# FS_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
_LOSE = (
    "import fcntl, os, struct, sys; "
    "fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))"
)


@dataclass(frozen=True)
class LabHost:
    """A droplet that is up."""

    droplet: Droplet

    @property
    def name(self) -> str:
        return self.droplet.name

    @property
    def address(self) -> str:
        return self.droplet.address

    @property
    def folder(self) -> Path:
        return PATHS.droplet(self.name)

    def ssh(
        self, command: str, user: str = "root", timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run ``command`` and return what came of it."""
        return subprocess.run(
            [*keys.ssh_command(PATHS, self.droplet, user), command],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
        )

    def ok(self, command: str, user: str = "root", timeout_s: float = 300) -> str:
        """Run ``command``, which must succeed, and return what it printed."""
        result = self.ssh(command, user, timeout_s)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout


def up(names: Sequence[str], wanted: Wanted | None = None) -> tuple[LabHost, ...]:
    """Droplets of these names (after the prefix of this run)."""
    full = [PREFIX + name for name in names]
    made = droplets.up(PATHS, full, wanted or Wanted(), lambda _line: None)
    return tuple(LabHost(droplet) for droplet in made)


def names() -> tuple[str, ...]:
    """Every droplet that there is."""
    return tuple(droplet_record.names(PATHS))


def down(name: str) -> None:
    """Take a droplet away; it may be gone already."""
    try:
        droplets.down(PATHS, name, lambda _line: None)
    except FailedError as error:
        if error.failure.fault is not Fault.LAB_DROPLET_UNKNOWN:
            raise


def reset_disk(name: str) -> None:
    """Give a droplet a blank scratch disk."""
    droplets.reset_disk(PATHS, name, lambda _line: None)


def hard_reset(host: LabHost, disks: Sequence[str] = ()) -> None:
    """Cut a droplet's power and its wire at once, and boot it again.

    Nothing that ran sees it coming. The kernel is this machine's own and goes on, so what was
    written is there afterwards, synced or not.

    + disks: mounted file systems that lose what was not synced; they are not mounted afterwards
    """
    wire = ["ip", "link", "set", host.droplet.interface]
    subprocess.run([*wire, "down"], check=True)
    groups = control_groups.left([host.name])
    pids = {pid for group in groups for pid in control_groups.processes(group)}
    (init,) = (pid for pid in pids if _is_init(pid))
    for disk in disks:
        inside = ["nsenter", f"--target={init}", "--mount", "--", "python3", "-c", _LOSE, disk]
        subprocess.run(inside, check=True)
    assert processes.end(pids) == ()
    for group in groups:
        processes.end(control_groups.processes(group))
        assert processes.wait_until(lambda group=group: control_groups.remove(group), 20)  # type: ignore[misc]
    process = container.start(PATHS, host.droplet)
    subprocess.run([*wire, "up"], check=True)
    container.wait_for_ssh(PATHS, host.droplet, process)


def _is_init(pid: int) -> bool:
    """Whether a process is a droplet's own init, and not that of a container in it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    numbers = next(line.split()[1:] for line in lines if line.startswith("NSpid:"))
    return len(numbers) == 2 and numbers[1] == "1"


def left(name: str) -> tuple[str, ...]:
    """What is there of a droplet."""
    return removal.look(PATHS, [name]).lines


def remove_ours() -> tuple[str, ...]:
    """Take away droplets of this run, and of runs that were killed; what there was of this one."""
    found: list[str] = []
    for name in droplet_record.names(PATHS):
        match = _OURS.match(name)
        if match is None:
            continue
        if int(match[1]) == os.getpid():
            found += left(name)
        elif Path(f"/proc/{match[1]}").exists():
            continue
        down(name)
    return tuple(found)


def clean(name: str) -> tuple[str, ...]:
    """``rocminfra lab clean``, sparing every other droplet; what it removed."""
    spared = set(droplet_record.names(PATHS)) - {name}
    return removal.clean(PATHS, spared).lines
