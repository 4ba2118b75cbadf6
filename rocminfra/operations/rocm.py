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

GROUP = "render"
MODE = 0o660


def gate(gpu_count: int = 1) -> None:
    """Take the host out of the run, before any change, when it has too few GPUs.

    + gpu_count: render nodes that must be there

    For a task's top level; it decides nothing that an operation relies on later.
    """
    nodes = host.get_fact(GpuNodes)
    missing = missing_nodes(nodes, gpu_count)
    if missing is None:
        return
    found = _render_nodes(nodes)
    following: Next
    if not _has_driver(nodes):
        following = Do(
            "on the host: modprobe amdgpu && ls -l /dev/kfd /dev/dri; "
            "without amdgpu-dkms install it and reboot"
        )
    elif not found:
        following = Again("on the host: dmesg | grep amdgpu says why; then reboot it; then")
    else:
        # The driver runs: another modprobe brings no GPU back.
        following = Again(
            "a GPU that is lost comes back with a reboot (dmesg | grep amdgpu says why); "
            f"where the machine has no more than {len(found)}",
            arguments=((Argument("rocm", "gpu_count"), str(len(found))),),
        )
    exclude(state, host, Failure(Fault.GPU_MISSING, missing, next=following))


def container_devices() -> tuple[str, ...]:
    """Paths of the GPUs' nodes that an engine's container needs.

    ``/dev/dri`` as a whole, unless the host has other cards too: processors' own graphics, another
    maker's, a small one for a display. For whoever renders an engine's unit.
    """
    report: GpuReport = host.get_fact(Gpus)
    return report.selection.devices


def missing_nodes(nodes: Sequence[GpuNode], gpu_count: int) -> str | None:
    """What is missing of the GPU's device nodes, or None."""
    if not _has_driver(nodes):
        return "/dev/kfd is missing: the amdgpu driver is not loaded or there is no Instinct GPU"
    render = _render_nodes(nodes)
    if len(render) < gpu_count:
        return f"{len(render)} render nodes instead of {gpu_count}: {', '.join(render) or 'none'}"
    return None


def _has_driver(nodes: Sequence[GpuNode]) -> bool:
    return any(node.path == "/dev/kfd" for node in nodes)


def _render_nodes(nodes: Sequence[GpuNode]) -> list[str]:
    return [node.path for node in nodes if node.path.startswith("/dev/dri/renderD")]


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
