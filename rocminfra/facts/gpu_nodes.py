"""The GPU's device nodes and who may open them."""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.facts.host_fact import HostFact


@dataclass(frozen=True)
class GpuNode:
    """A device node of the GPU.

    + path: such as ``/dev/dri/renderD128``
    + gid: numeric id of the owning group, which is what a container needs
    + group: its name on this host, ``UNKNOWN`` when it has none
    + mode: permission bits
    """

    path: str
    gid: int
    group: str
    mode: int


class GpuNodes(HostFact[tuple[GpuNode, ...]]):
    """``/dev/kfd`` and the nodes below ``/dev/dri``, as they are, not as ``getent`` would say."""

    @staticmethod
    def default() -> tuple[GpuNode, ...]:
        return ()

    def command(self) -> str:
        return (
            "set --; for node in /dev/kfd /dev/dri/card* /dev/dri/renderD*; do "
            'if test -c "$node"; then set -- "$@" "$node"; fi; done; '
            'test $# = 0 || stat -c "%n|%g|%G|%a" "$@"'
        )

    def process(self, output: list[str]) -> tuple[GpuNode, ...]:
        nodes = []
        for line in output:
            path, gid, group, mode = line.rsplit("|", 3)
            nodes.append(GpuNode(path, int(gid), group, int(mode, 8)))
        return tuple(nodes)


def group_ids(nodes: tuple[GpuNode, ...]) -> tuple[int, ...]:
    """Numeric groups that own the nodes, each once; root's is left out, a container has it."""
    return tuple(sorted({node.gid for node in nodes if node.gid != 0}))
