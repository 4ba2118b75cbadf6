"""Takes droplets away, dead ones too: what they were made of is found, not remembered."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab import control_groups, droplet_record, loop_disk, network, processes
from rocminfra.lab.commands import succeeds
from rocminfra.lab.paths import LabPaths

# Namespaces and file systems end some time after the last process in them.
DEADLINE_S = 20


@dataclass(frozen=True)
class Left:
    """What is there of droplets: a line each, such as ``loop device /dev/loop3``."""

    lines: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.lines)


def remove(paths: LabPaths, name: str) -> None:
    """Take droplet ``name`` away, whatever is there of it.

    Raises :class:`FailedError` when something of it stays.
    """
    _remove_runtime(paths, [name])
    folder = paths.droplet(name)
    if folder.is_dir():
        _remove_folder(folder)
    left = _wait_for_nothing(lambda: look(paths, [name]))
    if left:
        raise _stayed(left)


def clean(paths: LabPaths, spared: Collection[str] = ()) -> Left:
    """Take every droplet away and return what there was.

    + spared: droplets that stay

    Raises :class:`FailedError` when something stays that should not.
    """
    concerned = _everything(paths) - set(spared)
    wires = _wires(paths, spared)
    found = Left((*look(paths, concerned).lines, *(f"interface {name}" for name in wires)))
    _remove_runtime(paths, sorted(concerned))
    for wire in wires:
        network.remove_interface(wire)
    for name in concerned & set(droplet_record.names(paths)):
        _remove_folder(paths.droplet(name))
    left = _wait_for_nothing(lambda: Left((*look(paths, concerned).lines, *_wires(paths, spared))))
    if left:
        raise _stayed(left)
    return found


def look(paths: LabPaths, names: Collection[str]) -> Left:
    """Everything that is there of droplets ``names``."""
    lines = [
        f"process {item.pid} ({item.program}) of droplet {item.droplet}"
        for item in processes.of_droplets(paths)
        if item.droplet in names
    ]
    lines += [
        f"network namespace {item}"
        for item in network.namespaces()
        if item.removeprefix(network.NAMESPACE_PREFIX) in names
    ]
    for name in names:
        folder = paths.droplet(name)
        lines += [f"loop device {loop.path}" for loop in loop_disk.attached(folder)]
        lines += [f"mount {place}" for place in mounts_below(folder)]
        if folder.is_dir():
            lines.append(f"folder {folder}")
    lines += [f"control group {folder}" for folder in control_groups.left(names)]
    return Left(tuple(lines))


def mounts_below(folder: Path) -> tuple[str, ...]:
    """Mount points at and below ``folder``, deepest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        place = line.split(" ")[4].encode().decode("unicode_escape")
        if place == str(folder) or place.startswith(f"{folder}/"):
            found.append(place)
    return tuple(sorted(found, key=len, reverse=True))


def _everything(paths: LabPaths) -> set[str]:
    """Names of all droplets of which anything is there."""
    found = set(droplet_record.names(paths))
    found |= {process.droplet for process in processes.of_droplets(paths)}
    found |= {item.removeprefix(network.NAMESPACE_PREFIX) for item in network.namespaces()}
    for folder in control_groups.left():
        found.add(folder.name.removesuffix(".scope").removeprefix(control_groups.PREFIX))
    for loop in loop_disk.attached(paths.state):
        found.add(Path(loop.backing).relative_to(paths.state).parts[0])
    for place in mounts_below(paths.state):
        found.update(Path(place).relative_to(paths.state).parts[:1])
    return found


def _wires(paths: LabPaths, spared: Collection[str]) -> tuple[str, ...]:
    """This machine's ends of wires, without those of droplets that stay."""
    staying = {item.interface for item in droplet_record.readable(paths) if item.name in spared}
    return tuple(name for name in network.interfaces() if name not in staying)


def _remove_runtime(paths: LabPaths, names: Collection[str]) -> None:
    """Everything but the folders: processes first, for they hold the rest."""
    concerned = [item for item in processes.of_droplets(paths) if item.droplet in names]
    processes.end(item.pid for item in concerned)
    for folder in control_groups.left(names):
        processes.end(control_groups.processes(folder))
        if folder.suffix == ".scope":
            # systemd notices by itself, but until then no scope of this name can be started.
            succeeds(["systemctl", "stop", folder.name])
        processes.wait_until(lambda folder=folder: control_groups.remove(folder), DEADLINE_S)  # type: ignore[misc]
    for name in names:
        with contextlib.suppress(FailedError):
            network.remove_interface(droplet_record.load(paths, name).interface)
        namespace = network.NAMESPACE_PREFIX + name
        if namespace in network.namespaces():
            network.remove_namespace(namespace)
        folder = paths.droplet(name)
        for place in mounts_below(folder):
            succeeds(["umount", "--lazy", place])
        for loop in loop_disk.attached(folder):
            loop_disk.detach(loop)
    processes.wait_until(
        lambda: not any(loop_disk.attached(paths.droplet(name)) for name in names), DEADLINE_S
    )


def _remove_folder(folder: Path) -> None:
    """Remove a droplet's folder, its record last: a kill in between leaves it findable."""
    if mounts_below(folder) or loop_disk.attached(folder):
        return  # deleting through a mount would delete what is mounted
    for entry in folder.iterdir():
        if entry.name == droplet_record.FILE:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    (folder / droplet_record.FILE).unlink(missing_ok=True)
    os.rmdir(folder)


def _wait_for_nothing(find: Callable[[], Left]) -> Left:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        left = find()
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.05)


def _stayed(left: Left) -> FailedError:
    return FailedError(
        Fault.LAB_COMMAND_FAILED,
        "something of the lab could not be removed",
        left.lines,
        Do("end what uses the above, then: rocminfra lab clean"),
    )
