"""Practice droplets: made, started afresh, taken away."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.lab import (
    assets,
    base_root,
    container,
    droplet_record,
    keys,
    layer,
    loop_disk,
    network,
    processes,
    releases,
    removal,
    requirements,
)
from rocminfra.lab.commands import run
from rocminfra.lab.droplet_record import Droplet
from rocminfra.lab.lock import exclusive
from rocminfra.lab.paths import LabPaths

Say = Callable[[str], None]

# Others boot their droplets meanwhile, a busy machine takes a minute for each.
LOCK_WAIT_S = 300
DISK_GIB = 5120
TIME_SCALE = 20.0
ROCM = 7


@dataclass(frozen=True)
class Wanted:
    """What new droplets are like.

    + disk_gib: size of the scratch disk; it is sparse
    + time_scale: how much faster than real ones the engine and the GPU are
    + rocm: generation whose JSON shapes ``amd-smi`` prints, 6 or 7
    + release: codename of their Debian or Ubuntu; this machine's own unless given
    """

    disk_gib: int = DISK_GIB
    time_scale: float = TIME_SCALE
    rocm: int = ROCM
    release: str | None = None


def up(paths: LabPaths, names: Sequence[str], wanted: Wanted, say: Say) -> tuple[Droplet, ...]:
    """Make droplets ``names`` and wait until their SSH answers.

    + say: told what is being done

    Raises :class:`FailedError`; what was made until then is removed again.
    """
    for name in names:
        droplet_record.check_name(name)
    _refuse_taken(paths, names)
    own = releases.chosen(None).codename
    release = releases.chosen(wanted.release).codename
    has_bases = all(base_root.is_built(paths.cache, item) for item in {own, release})
    requirements.check(paths.state, len(names), build=not has_bases)
    # Asked for good further down; here before minutes go into a base root.
    network.free_number(network.subnet(), (), network.routed())
    layer.make_caches(paths, release)
    in_use = {droplet.base for droplet in droplet_record.readable(paths)}
    # The engine's image is one for droplets of every release, as vLLM's is, and needs a newer
    # Python than some of them have.
    assets.ensure(paths, base_root.ensure(paths.cache, in_use, say), say)
    base = base_root.ensure(paths.cache, in_use, say, release)
    made: list[tuple[Droplet, subprocess.Popen[bytes]]] = []
    with exclusive("lab", LOCK_WAIT_S, paths.locks, say):
        _refuse_taken(paths, names)
        begun: list[str] = []
        try:
            for name in names:
                droplet = _new(paths, name, wanted, release, base)
                say(f"{name}: disk, network and system at {droplet.address}")
                begun.append(name)
                made.append((droplet, _make(paths, droplet)))
            for droplet, process in made:
                container.wait_for_ssh(paths, droplet, process)
                say(f"{droplet.name}: SSH answers")
        except BaseException:
            for name in begun:
                removal.remove(paths, name)
            raise
    return tuple(droplet for droplet, _ in made)


def down(paths: LabPaths, name: str, say: Say) -> None:
    """Take droplet ``name`` away.

    Raises :class:`FailedError` when there is no such droplet, or something of it stays.
    """
    requirements.check_root()
    if not removal.look(paths, [name]):
        droplet_record.load(paths, name)  # says that there is none, and which there are
    with exclusive("lab", LOCK_WAIT_S, paths.locks, say):
        removal.remove(paths, name)
    say(f"{name}: removed")


def free_names(paths: LabPaths, count: int) -> tuple[str, ...]:
    """The first ``count`` names lab-1, lab-2, … that no droplet has."""
    taken = set(droplet_record.names(paths))
    found: list[str] = []
    number = 1
    while len(found) < count:
        if f"lab-{number}" not in taken:
            found.append(f"lab-{number}")
        number += 1
    return tuple(found)


def reset_disk(paths: LabPaths, name: str, say: Say) -> None:
    """Give droplet ``name`` a blank scratch disk, as if it had just been made.

    What uses the disk is stopped and the mounts are undone; everything else stays as it is.

    Raises :class:`FailedError` when the disk stays in use.
    """
    requirements.check_root()
    droplet = droplet_record.load(paths, name)
    refuse_dead(paths, name)
    folder = paths.droplet(name)
    disks = loop_disk.attached(folder)
    if not disks:
        raise FailedError(
            Fault.LAB_DROPLET_BROKEN,
            f"droplet '{name}' has no disk",
            next=Do(f"rocminfra lab down {name}"),
        )
    ssh = keys.ssh_command(paths, droplet)
    hint = f"rocminfra lab ssh {name} findmnt --source /dev/vdc"
    say(f"{name}: stopping what uses the disk")
    run([*ssh, _LET_GO], timeout_s=180, next_step=hint)
    loop_disk.make_blank(folder, disks[0], droplet.disk_gib)
    run([*ssh, "/usr/local/lib/rocminfra-lab/devices.sh refresh"])
    say(f"{name}: /dev/vdc is blank")


def refuse_dead(paths: LabPaths, name: str) -> None:
    """Refuse a droplet whose system does not run.

    Raises :class:`FailedError`.
    """
    if name not in processes.running(paths):
        raise FailedError(
            Fault.LAB_DROPLET_BROKEN,
            f"droplet '{name}' does not run: it is left over from a run that was killed",
            next=Do(f"rocminfra lab down {name}; rocminfra lab up --name {name}"),
        )


# Runs inside. Docker's data may be on the disk, or on a partition of it.
_LET_GO = r"""
set -eu
for unit in vllm.service docker.socket docker.service containerd.service; do
    if systemctl --quiet is-active "$unit"; then systemctl stop "$unit"; fi
done
for device in /dev/vdc*; do
    number=$(cat "/sys/class/block/${device#/dev/}/dev")
    findmnt -rn -o MAJ:MIN,TARGET | awk -v n="$number" '$1 == n {print $2}' | tac |
        while read -r target; do umount --recursive "$target" 2>/dev/null || true; done
    if findmnt -rn -o MAJ:MIN | grep -qx "$number"; then
        echo "$device is still mounted" >&2
        findmnt -n -o TARGET,SOURCE --source "$device" >&2
        exit 1
    fi
done
"""


def _new(paths: LabPaths, name: str, wanted: Wanted, release: str, base: Path) -> Droplet:
    half = network.subnet()
    taken = [droplet.number for droplet in droplet_record.readable(paths)]
    taken += [int(item.removeprefix(network.INTERFACE_PREFIX)) for item in network.interfaces()]
    droplet = Droplet(
        name=name,
        number=network.free_number(half, taken, network.routed()),
        subnet=half,
        disk_gib=wanted.disk_gib,
        time_scale=wanted.time_scale,
        rocm=wanted.rocm,
        release=release,
        base=str(base),
        cache=str(paths.cache),
        model=str(paths.model),
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    # Left by a run that was killed, and known by name only: it would be in the way.
    removal.remove(paths, name)
    droplet_record.save(paths, droplet)
    return droplet


def _make(paths: LabPaths, droplet: Droplet) -> subprocess.Popen[bytes]:
    folder = paths.droplet(droplet.name)
    disk = loop_disk.make(folder, droplet.disk_gib)
    layer.make(paths, droplet, disk)
    network.make(droplet)
    network.start_way_out(droplet, folder / "slirp4netns.log")
    return container.start(paths, droplet)


def _refuse_taken(paths: LabPaths, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise FailedError(Fault.LAB_OPTION_INVALID, f"a name is given twice: {', '.join(names)}")
    running = processes.running(paths)
    for name in names:
        if name not in droplet_record.names(paths):
            continue
        if name in running:
            raise FailedError(
                Fault.LAB_DROPLET_UP,
                f"droplet '{name}' is up already",
                next=Do(f"rocminfra lab ssh {name}, or: rocminfra lab down {name}"),
            )
        refuse_dead(paths, name)
