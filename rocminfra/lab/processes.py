"""Processes of droplets, identified by their command lines. No other process is ever ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rocminfra.lab.paths import LabPaths

# Programs that the lab starts. Other processes that mention these paths are not the lab's.
_PROGRAMS = {"systemd-nspawn", "slirp4netns", "unshare", "sh", "systemd-run"}


@dataclass(frozen=True)
class Process:
    """A process of a droplet on this machine.

    + pid: its id
    + program: base name of its first word
    + droplet: name of the droplet
    """

    pid: int
    program: str
    droplet: str


def root_argument(paths: LabPaths, name: str) -> str:
    """The argument that identifies a droplet's systemd-nspawn."""
    return f"--directory={paths.droplet(name) / 'root'}"


def of_droplets(paths: LabPaths, proc: Path = Path("/proc")) -> tuple[Process, ...]:
    """Processes started by the lab for its droplets."""
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has ended
            continue
        program = Path(words[0]).name
        name = droplet_of(words, paths) if program in _PROGRAMS else None
        if name is not None:
            found.append(Process(int(entry.name), program, name))
    return tuple(found)


def droplet_of(words: Iterable[str], paths: LabPaths) -> str | None:
    """Name of the droplet that a command line belongs to, or None."""
    before, after = root_argument(paths, "\0").split("\0")
    for word in words:
        if word.startswith(before) and word.endswith(after):
            name = word[len(before) : len(word) - len(after)]
            if name and "/" not in name:
                return name
        if word.startswith("/run/netns/rocminfra-lab-"):
            return word.removeprefix("/run/netns/rocminfra-lab-")
    return None


def running(paths: LabPaths) -> frozenset[str]:
    """Names of the droplets that are running."""
    found = of_droplets(paths)
    return frozenset(item.droplet for item in found if item.program == "systemd-nspawn")


def end(pids: Iterable[int], timeout_s: float = 10.0) -> tuple[int, ...]:
    """Kill processes and wait until they are gone. Returns those that remain."""
    left = set(pids)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(_alive(pid) for pid in left), timeout_s)
    return tuple(sorted(pid for pid in left if _alive(pid)))


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait for ``condition``. Returns False if it does not become true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def _alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")
