"""Which of a host's cards an engine may use: one selection for everybody who counts GPUs.

A card is not a GPU for an engine just because it is listed: other makers' cards have render nodes
too, a processor's own graphics are an AMD GPU with half a gigabyte, a partitioned GPU is several,
a GPU in one piece has the render nodes of seven partitions that it could have, and the engine's
environment may hide GPUs from it.

Standard library only, Python 3.8: this file is copied to the host as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DRI = "/dev/dri"
AMD = "0x1002"
DRIVER = "amdgpu"
# Platform devices that the driver makes for partitions, whether there are any or not
# (amdgpu_xcp_drm_dev_alloc in drivers/gpu/drm/amd/amdxcp/amdgpu_xcp_drv.c of Linux).
PARTITION_DEVICE = "amdgpu_xcp"
# Modes of a partitioned GPU whose number of parts their name says; that of CPX is the number of
# the GPU's dies.
PARTS = {"DPX": 2, "TPX": 3, "QPX": 4}
UNPARTITIONED = "SPX"
MIB = 1 << 20
# Of the largest's memory, below which a card is of another kind: a processor sets 0.5 to 4 GiB
# aside for its own graphics, a card for a display has 4 to 48, and no engine splits a model evenly
# over such a pair.
LEAST_PART = 0.5
# The engine's variables that hide GPUs from it (ROCm's page "GPU isolation techniques"). HIP
# numbers what ROCr has left, and takes the first of its names that says something.
HIDING = (
    ("ROCR_VISIBLE_DEVICES",),
    ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"),
)
# Of all memory that the GPUs have, above which their rows count some of it twice.
MOST_CLAIMED = 1.5


@dataclass(frozen=True)
class Gpu:
    """The device behind a DRM render node, as sysfs describes it.

    + node: name of the render node, such as ``renderD128``
    + path: the device in sysfs, links resolved
    + driver: kernel driver bound to it, such as ``amdgpu``; None without one
    + vendor, device: PCI ids such as ``0x1002``; None when sysfs has none
    + vram_bytes: total memory; None when the driver does not say (the node of a further partition,
      another vendor's card)
    + compute_partition: ``SPX`` (not partitioned), ``DPX``, ``QPX``, ``CPX``…; None when the GPU
      cannot be partitioned; empty when the driver has such a file but does not say
    + memory_partition: ``NPS1``, ``NPS4``…, likewise
    """

    node: str
    path: str
    driver: str | None
    vendor: str | None
    device: str | None
    vram_bytes: int | None
    compute_partition: str | None
    memory_partition: str | None

    @property
    def is_partition(self) -> bool:
        """Whether it is one of the nodes that the driver keeps for partitions."""
        return self.path.rpartition("/")[2].startswith(PARTITION_DEVICE)


@dataclass(frozen=True)
class Selection:
    """What of a host's render nodes an engine may use.

    + usable: whole GPUs, partitioned or not
    + rejected: (node, why it is none) of every other card
    + devices: paths that a container needs: the folder of all of them where nothing is rejected
    """

    usable: tuple[Gpu, ...]
    rejected: tuple[tuple[str, str], ...]
    devices: tuple[str, ...]


def select(gpus: Iterable[Gpu]) -> Selection:
    """Choose among everything that has a render node.

    Where nothing can be used, or nothing is known, ``devices`` is the whole folder: the engine says
    better what is wrong than an empty list would.
    """
    nodes = sorted(gpus, key=lambda gpu: (len(gpu.node), gpu.node))
    cards = [gpu for gpu in nodes if not gpu.is_partition]
    ours = [gpu for gpu in cards if _foreign(gpu) is None]
    largest = max((_mib(gpu) or 0 for gpu in ours), default=0)
    reasons = {gpu.node: _foreign(gpu) or _lesser(_mib(gpu), largest) for gpu in cards}
    usable = tuple(gpu for gpu in cards if reasons[gpu.node] is None)
    # Another node of a chosen GPU is not a rejected card.
    paths = {gpu.path for gpu in usable}
    rejected = tuple(
        (gpu.node, reasons[gpu.node] or "")
        for gpu in cards
        if reasons[gpu.node] is not None and gpu.path not in paths
    )
    if not usable or not rejected:
        return Selection(usable, rejected, (DRI,))
    chosen = {gpu.node for gpu in usable}
    if partitioned(usable):
        chosen |= {gpu.node for gpu in nodes if gpu.is_partition}
    devices = tuple(f"{DRI}/{gpu.node}" for gpu in nodes if gpu.node in chosen)
    return Selection(usable, rejected, devices)


def memory_mib(
    gpus: Sequence[Gpu], amd_smi_mib: Sequence[int | None] | None = None
) -> tuple[int, ...]:
    """MiB of each GPU that an engine may use, as ROCm counts them: a partition is a GPU.

    + gpus: everything that has a render node
    + amd_smi_mib: MiB of each row of amd-smi, None for "N/A"; None when it was not asked, because
      sysfs is enough: nothing is partitioned
    """
    selection = select(gpus)
    is_partitioned = partitioned(selection.usable)
    if amd_smi_mib is None or (not amd_smi_mib and is_partitioned is False):
        # Asked because one card does not say; the others do.
        return tuple(_mib(gpu) or 0 for gpu in selection.usable)
    rows = engine_rows(amd_smi_mib, partitions=is_partitioned)
    totals = [amd_smi_mib[owner] or 0 for _, owner in rows]
    shared = [sum(other == owner for _, other in rows) for _, owner in rows]
    # amd-smi before ROCm 6.4 lists a partitioned GPU once, with all of its memory.
    there = sum(_mib(gpu) or 0 for gpu in selection.usable)
    if is_partitioned and there and set(shared) == {1} and sum(totals) > MOST_CLAIMED * there:
        # ROCm 6.4 says of every partition that it has all of its GPU's (ROCm/ROCm, issue 4750).
        times = max(1, round(sum(totals) / there))
        return tuple(total // times for total in totals)
    modes = {gpu.compute_partition or "" for gpu in selection.usable}
    parts = PARTS.get(modes.pop(), 1) if len(modes) == 1 else 1
    if set(shared) == {1} and len(rows) == len(selection.usable):
        return tuple(total // parts for total in totals for _ in range(parts))
    return tuple(total // count for total, count in zip(totals, shared))  # noqa: B905


def engine_rows(
    totals: Sequence[float | None],
    environment: Mapping[str, str] | None = None,
    partitions: bool | None = None,
) -> tuple[tuple[int, int], ...]:
    """Rows of amd-smi that an engine may use, as (row, row that has its memory).

    + totals: memory of each row in MiB; None for "N/A", which a partition's further rows have
    + environment: the engine's; what it hides is left out
    + partitions: whether a GPU is partitioned; where none is, a row without memory is a GPU that
      has failed; None when nobody knows
    """
    largest = max((total for total in totals if total is not None), default=0.0)
    found: list[tuple[int, int]] = []
    owner = None
    for row, total in enumerate(totals):
        if total is None and partitions is False:
            continue
        owner = row if total is not None else owner
        if owner is not None and _lesser(totals[owner], largest) is None:
            found.append((row, owner))
    positions = visible(len(found), environment or {})
    return tuple(found if positions is None else (found[index] for index in positions))


def visible(count: int, environment: Mapping[str, str]) -> tuple[int, ...] | None:
    """Which of ``count`` GPUs the environment leaves, by position; None when it names them in a way
    that is not a position (``GPU-…``).

    A list ends where it names no GPU, as ROCr and HIP have it.
    """
    left = list(range(count))
    for names in HIDING:
        # ROCr takes an empty list for none, HIP for nothing said.
        of_rocr = names is HIDING[0]
        given = (one for one in names if environment.get(one) or (of_rocr and one in environment))
        name = next(given, None)
        if name is None:
            continue
        chosen: list[int] = []
        for word in environment[name].split(","):
            word = word.strip()
            if word.upper().startswith("GPU-"):
                return None
            if not (word.isdecimal() and word.isascii()) or int(word) >= len(left):
                break
            if left[int(word)] not in chosen:
                chosen.append(left[int(word)])
        left = chosen
    return tuple(left)


def partitioned(gpus: Iterable[Gpu]) -> bool | None:
    """Whether one of the GPUs is partitioned; None where there is no GPU of AMD's to tell."""
    modes = [gpu.compute_partition for gpu in gpus if gpu.vram_bytes and _foreign(gpu) is None]
    return any(mode not in (None, UNPARTITIONED) for mode in modes) if modes else None


def hiding_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that hide GPUs."""
    names = [name for names in HIDING for name in names]
    return {name: environment[name] for name in names if name in environment}


def parse_environment(text: str) -> dict[str, str]:
    """Variables of a file of ``docker run --env-file``, which takes values literally."""
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, equals, value in pairs if equals}


def _foreign(gpu: Gpu) -> str | None:
    if gpu.vendor and gpu.vendor.lower() != AMD:
        return f"another maker's card ({gpu.vendor})"
    if gpu.driver is not None and gpu.driver != DRIVER:
        return f"its driver is {gpu.driver} and not {DRIVER}"
    return None


def _lesser(total_mib: float | None, largest_mib: float) -> str | None:
    """Why a card of AMD's is none that an engine runs on."""
    if not total_mib:
        return "its driver does not say how much memory it has"
    if total_mib < LEAST_PART * largest_mib:
        return f"integrated or of another kind: {total_mib:,.0f} MiB beside {largest_mib:,.0f}"
    return None


def _mib(gpu: Gpu) -> int | None:
    return None if gpu.vram_bytes is None else gpu.vram_bytes // MIB
