"""One selection of usable GPUs, for the fit, the preflight, the container and the telemetry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rocminfra.planning.gpus.gpu_selection import (
    DRI,
    MIB,
    Gpu,
    engine_rows,
    memory_mib,
    parse_environment,
    select,
    visible,
)

PCI = "/sys/devices/pci0000:00"
MI300X = Gpu(
    "renderD128", f"{PCI}/0000:83:00.0", "amdgpu", "0x1002", "0x74a1", 196_592 * MIB, "SPX", "NPS1"
)
VF = replace(MI300X, device="0x74b5", vram_bytes=196_288 * MIB, compute_partition=None)
INTEGRATED = replace(
    VF, node="renderD129", path=f"{PCI}/0000:11:00.0", device="0x164e", vram_bytes=512 * MIB
)
NVIDIA = replace(
    INTEGRATED, node="renderD130", path="n", driver="nvidia", vendor="0x10de", vram_bytes=None
)
INTEL = replace(NVIDIA, node="renderD131", path="i", driver="i915", vendor="0x8086")


def second(gpu: Gpu, number: int) -> Gpu:
    return replace(gpu, node=f"renderD{number}", path=f"{PCI}/0000:{number:02x}:00.0")


def spares(first: int, count: int = 7) -> list[Gpu]:
    """The nodes that the driver keeps for partitions, whether there are any or not."""
    return [
        Gpu(
            *(f"renderD{first + index}", f"/sys/devices/platform/amdgpu_xcp.{first + index}"),
            *(None, None, None, None, None, None),
        )
        for index in range(count)
    ]


@pytest.mark.parametrize(
    ("gpus", "nodes", "devices"),
    [
        ([VF], ["renderD128"], (DRI,)),
        ([VF, second(VF, 129)], ["renderD128", "renderD129"], (DRI,)),
        # Bare metal: the next GPU's node is eight further.
        ([MI300X, *spares(129)], ["renderD128"], (DRI,)),
        ([MI300X, *spares(129), second(MI300X, 136)], ["renderD128", "renderD136"], (DRI,)),
        # Other cards: the container gets the GPU's node only.
        ([VF, INTEGRATED], ["renderD128"], ("/dev/dri/renderD128",)),
        ([VF, NVIDIA], ["renderD128"], ("/dev/dri/renderD128",)),
        ([INTEL, VF], ["renderD128"], ("/dev/dri/renderD128",)),
        (
            [MI300X, *spares(129), INTEL, second(MI300X, 136)],
            ["renderD128", "renderD136"],
            ("/dev/dri/renderD128", "/dev/dri/renderD136"),
        ),
        # Nothing usable, nothing known: the engine says better what is wrong.
        ([NVIDIA], [], (DRI,)),
        ([], [], (DRI,)),
        # A GPU that is given to a virtual machine, and one whose driver does not say.
        (
            [VF, replace(second(VF, 129), driver="vfio-pci")],
            ["renderD128"],
            ("/dev/dri/renderD128",),
        ),
        ([VF, replace(second(VF, 129), vram_bytes=None)], ["renderD128"], ("/dev/dri/renderD128",)),
    ],
)
def test_what_an_engine_may_use(
    gpus: Sequence[Gpu], nodes: list[str], devices: tuple[str, ...]
) -> None:
    found = select(gpus)
    assert [gpu.node for gpu in found.usable] == nodes
    assert found.devices == devices
    assert {node for node, _ in found.rejected}.isdisjoint(nodes)


def test_every_rejected_card_has_a_reason() -> None:
    reasons = dict(select([VF, INTEGRATED, NVIDIA, replace(INTEL, driver=None)]).rejected)
    assert reasons == {
        "renderD129": "integrated or of another kind: 512 MiB beside 196,288",
        "renderD130": "another maker's card (0x10de)",
        "renderD131": "another maker's card (0x8086)",
    }


def test_a_partitioned_gpu_keeps_its_partitions_nodes() -> None:
    partitioned = replace(MI300X, compute_partition="CPX")
    found = select([partitioned, *spares(129, 2), replace(INTEL, node="renderD140")])
    assert found.devices == tuple(f"/dev/dri/renderD{number}" for number in (128, 129, 130))


@pytest.mark.parametrize(
    ("gpus", "rows", "memory"),
    [
        ([MI300X, *spares(129)], None, (196_592,)),
        ([VF, INTEGRATED, NVIDIA], None, (196_288,)),
        # CPX: the first row of a GPU has its memory, those of its other partitions none.
        ([replace(MI300X, compute_partition="CPX")], [196_592, *[None] * 7], (24_574,) * 8),
        (
            [
                replace(MI300X, compute_partition="DPX"),
                replace(second(MI300X, 136), compute_partition="DPX"),
            ],
            [196_592, None] * 2,
            (98_296,) * 4,
        ),
        # An older amd-smi: one row with all of the memory.
        ([replace(MI300X, compute_partition="DPX")], [196_592], (98_296,) * 2),
        ([replace(MI300X, compute_partition="QPX")], [196_592], (49_148,) * 4),
        # It divides itself.
        ([replace(MI300X, compute_partition="QPX")], [49_148] * 4, (49_148,) * 4),
        # ROCm 6.4 says of each partition that it has all of the memory.
        ([replace(MI300X, compute_partition="CPX")], [196_592] * 8, (24_574,) * 8),
        (
            [
                replace(MI300X, compute_partition="QPX"),
                replace(second(MI300X, 136), compute_partition="QPX"),
            ],
            [196_592] * 8,
            (49_148,) * 8,
        ),
        # No GPU is partitioned, so a row without memory is one that has failed.
        ([VF, second(VF, 129)], [196_288, None, 196_288], (196_288,) * 2),
        # amd-smi does not answer, and the cards that are well say what they have.
        ([VF, replace(second(VF, 129), vram_bytes=None)], [], (196_288,)),
        ([replace(MI300X, compute_partition="CPX")], [], ()),
        ([], [196_288, 512], (196_288,)),
        ([], [None], ()),
        ([], [], ()),
    ],
)
def test_memory_is_that_of_what_rocm_counts(
    gpus: Sequence[Gpu], rows: list[int | None] | None, memory: tuple[int, ...]
) -> None:
    assert memory_mib(gpus, rows) == memory


@pytest.mark.parametrize(
    ("environment", "left"),
    [
        ({}, (0, 1, 2, 3)),
        ({"HIP_VISIBLE_DEVICES": "2"}, (2,)),
        ({"CUDA_VISIBLE_DEVICES": "3, 1"}, (3, 1)),
        ({"HIP_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": "3"}, (0,)),
        # HIP numbers what ROCr has left.
        ({"ROCR_VISIBLE_DEVICES": "2,3", "HIP_VISIBLE_DEVICES": "1"}, (3,)),
        ({"ROCR_VISIBLE_DEVICES": "0,9,1"}, (0,)),
        ({"HIP_VISIBLE_DEVICES": "-1"}, ()),
        ({"HIP_VISIBLE_DEVICES": "1,1"}, (1,)),
        ({"HIP_VISIBLE_DEVICES": ""}, (0, 1, 2, 3)),
        ({"ROCR_VISIBLE_DEVICES": ""}, ()),
        ({"ROCR_VISIBLE_DEVICES": "GPU-9d2f3a"}, None),
        ({"GPU_DEVICE_ORDINAL": "0,2"}, (0, 2)),
        ({"HIP_VISIBLE_DEVICES": "", "CUDA_VISIBLE_DEVICES": "3"}, (3,)),
        ({"HIP_VISIBLE_DEVICES": "1", "GPU_DEVICE_ORDINAL": "3"}, (1,)),
        ({"HIP_VISIBLE_DEVICES": "\u0663"}, ()),
        ({"HIP_VISIBLE_DEVICES": "all"}, ()),
        ({"HIP_VISIBLE_DEVICES": "1;2"}, ()),
        ({"HIP_VISIBLE_DEVICES": "0x1"}, ()),
    ],
)
def test_what_the_environment_leaves(
    environment: dict[str, str], left: tuple[int, ...] | None
) -> None:
    assert visible(4, environment) == left


@pytest.mark.parametrize(
    ("totals", "environment", "rows"),
    [
        ([196_288, 512], {}, ((0, 0),)),
        ([512, 196_288], {"HIP_VISIBLE_DEVICES": "0"}, ((1, 1),)),
        ([196_592, None, None], {"HIP_VISIBLE_DEVICES": "2"}, ((2, 0),)),
        ([196_288] * 2, {"ROCR_VISIBLE_DEVICES": "GPU-1"}, ((0, 0), (1, 1))),
        ([None, 196_288], {}, ((1, 1),)),
    ],
)
def test_rows_of_amd_smi(
    totals: list[float | None], environment: dict[str, str], rows: tuple[tuple[int, int], ...]
) -> None:
    assert engine_rows(totals, environment) == rows


def test_the_environments_file_is_read_as_docker_reads_it() -> None:
    text = "# HIP_VISIBLE_DEVICES=7\nHIP_VISIBLE_DEVICES=0,1\nA=b=c\nPASSED_ON\n"
    assert parse_environment(text) == {"HIP_VISIBLE_DEVICES": "0,1", "A": "b=c"}
