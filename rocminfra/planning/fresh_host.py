"""Whether a machine that may have booted a moment ago can be worked on: now, soon, or not at all.

Pure. A new droplet answers SSH while cloud-init still runs, holds apt's locks for unattended
upgrades, may want a reboot into the kernel that its driver belongs to, and quick-start images
start a container of their own on the engine's port.
"""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.failure import Again, Do, Failure, Fault

CLOUD_INIT_S = 20 * 60.0
APT_S = 15 * 60.0

# cloud-init's own words for "not yet"; it may say "degraded running", too.
_UNDER_WAY = ("running", "not started", "not run")
# Packages whose pending reboot changes the kernel or the GPU's driver below our feet.
_KERNEL = ("linux-", "amdgpu", "rocm")


@dataclass(frozen=True)
class AptHolder:
    """A process that holds apt's or dpkg's lock."""

    pid: int
    command: str | None
    lock: str


@dataclass(frozen=True)
class Container:
    """A running container.

    + labels: names of its labels
    + ports: published on the host
    + gpu: whether it has the GPU's device nodes
    """

    name: str
    image: str
    labels: tuple[str, ...]
    ports: tuple[int, ...]
    host_network: bool
    gpu: bool


@dataclass(frozen=True)
class Observed:
    """A look at the machine.

    + cloud_init: its own word, ``none`` without one, ``unknown`` when it did not say
    + reboot: packages that ask for a reboot, None when none is pending
    + read_only: folders that a run writes to, and that can only be read
    + problem: why nothing could be seen, None when all is well
    """

    cloud_init: str = "none"
    cloud_init_errors: tuple[str, ...] = ()
    apt: tuple[AptHolder, ...] = ()
    reboot: tuple[str, ...] | None = None
    containers: tuple[Container, ...] = ()
    listening: tuple[int, ...] = ()
    read_only: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Ready:
    """Work may begin; ``notes`` are worth a line each."""

    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wait:
    """Not yet.

    + reason: who or what is at work
    + deadline_s: how long that may take since the first look
    """

    reason: str
    deadline_s: float
    late: Failure


def judge(
    seen: Observed, address: str, engine: str, port: int, label: str
) -> Ready | Wait | Failure:
    """What to do about a look.

    + address: how the machine is reached, for commands
    + engine: name of the engine's container; empty where nobody knows it, and then any of ours is
    + port: port that the engine serves on
    + label: label of containers that are ours
    """
    if seen.read_only:
        return read_only(seen.read_only)
    ours = tuple(
        item
        for item in seen.containers
        if item.name == engine or (not engine and label in item.labels)
    )
    foreign = tuple(item for item in seen.containers if item not in ours)
    blocking = next((item for item in foreign if _has_port(item, port, seen)), None)
    if blocking is not None:
        return _port_taken(blocking, address, port)
    kernel = [name for name in seen.reboot or () if name.startswith(_KERNEL)]
    if seen.cloud_init.endswith(_UNDER_WAY):
        reason = f"cloud-init is '{seen.cloud_init}'"
        return Wait(reason, CLOUD_INIT_S, _late(reason, "cloud-init status --long", address))
    if seen.apt:
        holder = seen.apt[0]
        reason = f"{holder.command or 'a process'} (pid {holder.pid}) holds {holder.lock}"
        return Wait(reason, APT_S, _late(reason, f"ps -fp {holder.pid}", address))
    if kernel and not ours:
        return _reboot_first(kernel, address)
    notes = []
    if seen.problem is not None:
        notes.append(f"cannot tell whether this host has finished its first boot: {seen.problem}")
    if seen.cloud_init == "error":
        said = "; ".join(seen.cloud_init_errors) or "see cloud-init status --long"
        notes.append(f"cloud-init ended with an error: {said}")
    if seen.reboot is not None:
        notes.append(f"a reboot is pending for: {', '.join(seen.reboot) or 'unknown packages'}")
    notes += [
        f"container '{item.name}' ({item.image}) has the GPU too; its memory is not the engine's"
        for item in foreign
        if item.gpu and label not in item.labels
    ]
    return Ready(tuple(notes))


def read_only(paths: tuple[str, ...], why: tuple[str, ...] = ()) -> Failure:
    """The failure of a host that cannot be written to.

    + paths: folders that can only be read
    """
    return Failure(
        Fault.HOST_READ_ONLY,
        f"{', '.join(paths)} on the host can only be read, and a run writes there",
        why,
        Again(
            "on the host, see why (dmesg: a disk error ends in a read-only file system) and mount "
            f'it for writing (mount -o remount,rw "$(findmnt -no TARGET -T {paths[0]})"), then'
        ),
    )


def _has_port(item: Container, port: int, seen: Observed) -> bool:
    # With the host's network nothing is published; the engine itself has a network of its own or
    # the host's, so a container with the GPU on the host's network is the likely listener.
    return port in item.ports or (item.host_network and item.gpu and port in seen.listening)


def _port_taken(item: Container, address: str, port: int) -> Failure:
    return Failure(
        Fault.PORT_TAKEN,
        f"container '{item.name}' has port {port}, which the engine needs",
        (
            f"its image is {item.image}",
            "quick-start images start one of their own; AMD's plain image (gpu-amd-base) does not",
        ),
        Do(f"ssh {address} docker rm --force {item.name}"),
    )


def _reboot_first(packages: list[str], address: str) -> Failure:
    return Failure(
        Fault.REBOOT_PENDING,
        "a reboot is pending that changes the kernel or the GPU's driver",
        (f"packages: {', '.join(packages)}",),
        Do(f"ssh {address} systemctl reboot; then run this again"),
    )


def _late(reason: str, command: str, address: str) -> Failure:
    return Failure(
        Fault.HOST_STILL_BOOTING,
        "this host does not get through its first minutes",
        (reason,),
        Do(f"ssh {address} {command}"),
    )
