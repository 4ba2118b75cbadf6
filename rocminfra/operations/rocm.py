"""Access to the GPU's device nodes."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host, state
from pyinfra.api import QuoteString, StringCommand, operation

from rocminfra.facts.gpu_memory import GpuReport, Gpus
from rocminfra.facts.gpu_nodes import GpuNode, GpuNodes
from rocminfra.facts.system import GroupExists, UserGroups
from rocminfra.failure import Again, Argument, Do, Failure, Fault, Next
from rocminfra.operations import host_files
from rocminfra.operations.commands import Commands
from rocminfra.operations.host_failures import exclude, fail
from rocminfra.planning.gpus.gpu_selection import DRI, partitioned

GROUP = "render"
MODE = 0o660


def gate(gpu_count: int = 1) -> None:
    """Take the host out of the run, before any change, when it has too few GPUs.

    + gpu_count: GPUs that an engine may use, partitions one by one; render nodes of other makers'
      cards, of processors' own graphics and of partitions that are not there do not count

    For a task's top level; it decides nothing that an operation relies on later.
    """
    nodes = host.get_fact(GpuNodes)
    report: GpuReport = host.get_fact(Gpus)
    missing = missing_nodes(nodes, gpu_count, report)
    if missing is None:
        return
    there = _count(nodes, report) if _has_driver(nodes) else 0
    following: Next
    if not _has_driver(nodes):
        following = Do(
            "on the host: modprobe amdgpu && ls -l /dev/kfd /dev/dri; "
            "without amdgpu-dkms install it and reboot"
        )
    elif not there:
        following = Again("on the host: dmesg | grep amdgpu says why; then reboot it; then")
    else:
        # The driver runs: another modprobe brings no GPU back.
        following = Again(
            "a GPU that is lost comes back with a reboot (dmesg | grep amdgpu says why); "
            f"where the machine has no more than {there}",
            arguments=((Argument("rocm", "gpu_count"), str(there)),),
        )
    exclude(state, host, Failure(Fault.GPU_MISSING, missing, next=following))


def container_devices() -> tuple[str, ...]:
    """Paths of the GPUs' nodes that an engine's container needs.

    ``/dev/dri`` as a whole, unless the host has other cards too: processors' own graphics, another
    maker's, a small one for a display. For whoever renders an engine's unit.
    """
    report: GpuReport = host.get_fact(Gpus)
    return report.selection.devices


def missing_nodes(nodes: Sequence[GpuNode], gpu_count: int, report: GpuReport) -> str | None:
    """What is missing of the GPU's device nodes, or None.

    + report: what the driver says of them; where it knows of none, every render node counts
    """
    if not _has_driver(nodes):
        return "/dev/kfd is missing: the amdgpu driver is not loaded or there is no Instinct GPU"
    there = _count(nodes, report)
    if there >= gpu_count:
        return None
    others = [f"{node} is none: {why}" for node, why in report.selection.rejected]
    more = f" ({'; '.join(others)})" if others else ""
    if partitioned(report.selection.usable):
        return f"{there} GPUs instead of {gpu_count}, partitions one by one{more}"
    named = ", ".join(_usable_nodes(nodes, report)) or "none"
    return f"{there} render nodes instead of {gpu_count}: {named}{more}"


def _has_driver(nodes: Sequence[GpuNode]) -> bool:
    return any(node.path == "/dev/kfd" for node in nodes)


def _count(nodes: Sequence[GpuNode], report: GpuReport) -> int:
    """GPUs that an engine may use."""
    usable = len(_usable_nodes(nodes, report))
    if not partitioned(report.selection.usable):
        return usable
    # Which node is which partition's the driver does not say; amd-smi says how many there are, but
    # for those before ROCm 6.4, which list cards only.
    listed = len(report.memory_mib)
    return listed if listed > usable else len(_render_nodes(nodes))


def _usable_nodes(nodes: Sequence[GpuNode], report: GpuReport) -> list[str]:
    """Render nodes of the GPUs that an engine may use; all where the driver knows of none, as for
    the engine's container: the engine says better what is wrong."""
    usable = {f"{DRI}/{gpu.node}" for gpu in report.selection.usable}
    return [path for path in _render_nodes(nodes) if path in usable or not usable]


def _render_nodes(nodes: Sequence[GpuNode]) -> list[str]:
    return [node.path for node in nodes if node.path.startswith(f"{DRI}/renderD")]


@operation()
def access(users: Sequence[str], rule: host_files.HostFile) -> Commands:
    """Ensure that the group ``render`` may open the GPU and that users belong to its groups.

    + users: users that should have access; they must exist
    + rule: udev rule that keeps owner and mode after a reboot
    """
    if not host.get_fact(GroupExists, group=GROUP):
        yield StringCommand("groupadd --system", GROUP)
    yield from host_files.present._inner([rule])
    nodes = host.get_fact(GpuNodes)
    wrong = [QuoteString(node.path) for node in nodes if _needs_rule(node)]
    if wrong:
        yield StringCommand(
            "if command -v udevadm >/dev/null; then udevadm control --reload &&",
            "udevadm trigger --subsystem-match=kfd --subsystem-match=drm && udevadm settle; else",
            *(f"chgrp {GROUP}", *wrong, f"&& chmod {MODE:04o}", *wrong, "; fi"),
        )
    if not users:
        return
    found = host.get_fact(UserGroups, users=list(users))
    unknown = [user for user in users if user not in found]
    if unknown:
        yield fail(
            Failure(
                Fault.USERS_UNKNOWN,
                f"these users do not exist on the host: {', '.join(unknown)}",
                next=Do(f"useradd -m {unknown[0]}; or remove it from ", Argument("rocm", "users")),
            )
        )
        return
    wanted = {GROUP, *(node.group for node in nodes if node.group not in ("UNKNOWN", "root"))}
    for user in users:
        lacking = sorted(wanted - found[user])
        if lacking:
            yield StringCommand("usermod -aG", QuoteString(",".join(lacking)), QuoteString(user))


def _needs_rule(node: GpuNode) -> bool:
    if node.path.startswith("/dev/dri/card"):
        return False
    return node.group != GROUP or node.mode & MODE != MODE
