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
    + source: source of the figures
    """

    key: str
    name: str
    memory_mib: int
    nominal_memory_gb: int
    bandwidth_bytes_per_s: float
    bf16_flops: float
    source: str

    @property
    def memory_bytes(self) -> int:
        """Memory as the driver reports it, bytes."""
        return self.memory_mib * 1024**2


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
)
MI355X = Gpu(
    key="mi355x",
    name="AMD Instinct MI355X",
    memory_mib=294_896,
    nominal_memory_gb=288,
    bandwidth_bytes_per_s=8.0e12,
    bf16_flops=2516.6e12,
    source="AMD MI355X data sheet; memory is 288 GiB less the 16 MiB that MI300X reserves too",
)
A100_80 = Gpu(
    key="a100-80",
    name="NVIDIA A100 SXM 80 GB",
    memory_mib=81_920,
    nominal_memory_gb=80,
    bandwidth_bytes_per_s=2.039e12,
    bf16_flops=312e12,
    source="NVIDIA A100 data sheet; memory as nvidia-smi reports it",
)
H100_80 = Gpu(
    key="h100-80",
    name="NVIDIA H100 SXM 80 GB",
    memory_mib=81_559,
    nominal_memory_gb=80,
    bandwidth_bytes_per_s=3.35e12,
    bf16_flops=989.4e12,
    source="NVIDIA H100 data sheet; memory as nvidia-smi reports it",
)
H200 = Gpu(
    key="h200",
    name="NVIDIA H200 SXM 141 GB",
    memory_mib=143_771,
    nominal_memory_gb=141,
    bandwidth_bytes_per_s=4.8e12,
    bf16_flops=989.4e12,
    source="NVIDIA H200 data sheet; memory as nvidia-smi reports it",
)
B200 = Gpu(
    key="b200",
    name="NVIDIA B200 SXM 180 GB",
    memory_mib=183_359,
    nominal_memory_gb=180,
    bandwidth_bytes_per_s=8.0e12,
    bf16_flops=2250e12,
    source="NVIDIA B200 data sheet (some boards: 7.7 TB/s); memory as nvidia-smi reports it",
)

GPUS: dict[str, Gpu] = {
    gpu.key: gpu for gpu in (MI300X, MI325X, MI350X, MI355X, A100_80, H100_80, H200, B200)
}
