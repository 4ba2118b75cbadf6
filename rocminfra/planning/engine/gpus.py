"""The accelerators that capacity and prediction support, with the source of every figure.

Memory is the MiB that the driver reports, not the marketing GB; bandwidth and peak are the vendor's
published figures. Standard library only: the engine simulator's image contains this file.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    """One accelerator.

    + key: name on the command line
    + name: the product's name
    + memory_mib: memory as the driver reports it, MiB
    + nominal_memory_gb: memory as sold, decimal GB
    + bandwidth_bytes_per_s: published peak memory bandwidth
    + bf16_flops: published dense bf16 peak, FLOP/s, without sparsity
    + source: where the figures come from
    + link_bytes_per_s_each_way: published bandwidth between GPUs, one direction: of each link where
      every two GPUs share one (AMD's Infinity Fabric), of all together behind a switch (NVLink)
    + is_meshed: whether every two GPUs share a link of their own
    + visible_mib: memory that the engine is shown, MiB, where that is less than the driver reports
    """

    key: str
    name: str
    memory_mib: int
    nominal_memory_gb: int
    bandwidth_bytes_per_s: float
    bf16_flops: float
    source: str
    link_bytes_per_s_each_way: float = 64e9
    is_meshed: bool = True
    visible_mib: int | None = None

    @property
    def memory_bytes(self) -> int:
        """Memory as the driver reports it, bytes."""
        return self.memory_mib * 1024**2

    @property
    def engine_bytes(self) -> int:
        """Memory as the engine sees it, bytes: what its utilization is a share of."""
        return (self.visible_mib or self.memory_mib) * 1024**2

    def link_bytes_per_s(self, gpus: int) -> float:
        """Bandwidth out of one of ``gpus`` GPUs to the others together, one direction."""
        links = gpus - 1 if self.is_meshed else 1
        return links * self.link_bytes_per_s_each_way


MI300X = Gpu(
    key="mi300x",
    name="AMD Instinct MI300X",
    memory_mib=196_288,
    nominal_memory_gb=192,
    bandwidth_bytes_per_s=5.3e12,
    bf16_flops=1307.4e12,
    source="AMD MI300X data sheet; memory as amd-smi reports it on an SR-IOV guest "
    "(196,592 MiB on bare metal)",
)
MI325X = Gpu(
    key="mi325x",
    name="AMD Instinct MI325X",
    memory_mib=262_128,
    nominal_memory_gb=256,
    bandwidth_bytes_per_s=6.0e12,
    bf16_flops=1307.4e12,
    source="AMD MI325X data sheet; memory is 256 GiB less the 16 MiB that MI300X reserves too",
)
MI350X = Gpu(
    key="mi350x",
    name="AMD Instinct MI350X",
    memory_mib=294_896,
    nominal_memory_gb=288,
    bandwidth_bytes_per_s=8.0e12,
    bf16_flops=2309.6e12,
    source="AMD MI350X data sheet; memory is 288 GiB less the 16 MiB that MI300X reserves too",
    link_bytes_per_s_each_way=76.8e9,
)
MI355X = Gpu(
    key="mi355x",
    name="AMD Instinct MI355X",
    memory_mib=294_896,
    nominal_memory_gb=288,
    bandwidth_bytes_per_s=8.0e12,
    bf16_flops=2516.6e12,
    source="AMD MI355X data sheet; memory is 288 GiB less the 16 MiB that MI300X reserves too",
    link_bytes_per_s_each_way=76.8e9,
)
A100_80 = Gpu(
    key="a100-80",
    name="NVIDIA A100 SXM 80 GB",
    memory_mib=81_920,
    nominal_memory_gb=80,
    bandwidth_bytes_per_s=2.039e12,
    bf16_flops=312e12,
    source="NVIDIA A100 data sheet; memory as nvidia-smi reports it",
    link_bytes_per_s_each_way=300e9,
    is_meshed=False,
    visible_mib=81_049,
)
H100_80 = Gpu(
    key="h100-80",
    name="NVIDIA H100 SXM 80 GB",
    memory_mib=81_559,
    nominal_memory_gb=80,
    bandwidth_bytes_per_s=3.35e12,
    bf16_flops=989.4e12,
    source="NVIDIA H100 data sheet; memory as nvidia-smi reports it",
    link_bytes_per_s_each_way=450e9,
    is_meshed=False,
    visible_mib=80_998,
)
H200 = Gpu(
    key="h200",
    name="NVIDIA H200 SXM 141 GB",
    memory_mib=143_771,
    nominal_memory_gb=141,
    bandwidth_bytes_per_s=4.8e12,
    bf16_flops=989.4e12,
    source="NVIDIA H200 data sheet; memory as nvidia-smi reports it",
    link_bytes_per_s_each_way=450e9,
    is_meshed=False,
    visible_mib=143_063,
)
B200 = Gpu(
    key="b200",
    name="NVIDIA B200 SXM 180 GB",
    memory_mib=183_359,
    nominal_memory_gb=180,
    bandwidth_bytes_per_s=8.0e12,
    bf16_flops=2250e12,
    source="NVIDIA B200 data sheet (some boards: 7.7 TB/s); memory as nvidia-smi reports it",
    link_bytes_per_s_each_way=900e9,
    is_meshed=False,
    visible_mib=182_630,
)

GPUS: dict[str, Gpu] = {
    gpu.key: gpu for gpu in (MI300X, MI325X, MI350X, MI355X, A100_80, H100_80, H200, B200)
}
