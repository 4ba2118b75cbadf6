"""The GPU's device nodes."""

from __future__ import annotations

from rocminfra.facts.gpu_nodes import GpuNode, GpuNodes, group_ids


def test_gpu_nodes() -> None:
    nodes = GpuNodes().process(
        ["/dev/kfd|992|render|660", "/dev/dri/card0|44|video|660", "/dev/dri/renderD128|0|root|600"]
    )
    assert nodes[0] == GpuNode("/dev/kfd", 992, "render", 0o660)
    assert group_ids(nodes) == (44, 992)
