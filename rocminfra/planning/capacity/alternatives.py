"""What the published comparison with two 80 GB cards leaves out.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.planning.capacity.capacity import Capacity, Serving, capacity
from rocminfra.planning.engine.gpus import A100_80, H100_80
from rocminfra.planning.model.spec import ModelSpec

GB = 10**9
GIB = 1024**3


@dataclass(frozen=True)
class Alternative:
    """Two cards, tensor parallel.

    + capacity: as planned
    + nominal_left_bytes: memory as sold (decimal GB) minus the weights
    + real_left_bytes: memory as the driver reports it x utilization, minus the weights
    + usd_per_hour: published price range of the node
    """

    capacity: Capacity
    nominal_left_bytes: int
    real_left_bytes: int
    usd_per_hour: tuple[float, float]

    @property
    def name(self) -> str:
        """``2 x NVIDIA A100 SXM 80 GB``."""
        return f"{self.capacity.tensor_parallel} x {self.capacity.gpu.name}"

    @property
    def why(self) -> str:
        """Why nominal and real memory differ."""
        count, gpu = self.capacity.tensor_parallel, self.capacity.gpu
        whole = count * gpu.memory_bytes
        share = self.capacity.serving.utilization
        over = self.capacity.overhead
        return (
            f"sold as {count * gpu.nominal_memory_gb} GB; the driver reports {count} x "
            f"{gpu.memory_mib:,} MiB = {whole / GB:.1f} GB, because a nominal 80 GB is nearly "
            f"80 GiB; the engine uses {share:.0%} of it, {whole * share / GB:.1f} GB. And "
            f"{count} x {over.low / GIB:.1f} to {over.high / GIB:.1f} GiB of the rest go to "
            "activations, graphs and the vision encoder before a single token is cached"
        )


def alternatives(spec: ModelSpec, serving: Serving) -> tuple[Alternative, ...]:
    """The two nodes of the published comparison ($3 to $4 and $6 to $8 per card and hour)."""
    return (
        _alternative(spec, serving, capacity(spec, A100_80, serving, 2), (6.0, 8.0)),
        _alternative(spec, serving, capacity(spec, H100_80, serving, 2), (12.0, 16.0)),
    )


def _alternative(
    spec: ModelSpec, serving: Serving, planned: Capacity, usd_per_hour: tuple[float, float]
) -> Alternative:
    count, gpu = planned.tensor_parallel, planned.gpu
    return Alternative(
        capacity=planned,
        nominal_left_bytes=count * gpu.nominal_memory_gb * GB - spec.weights_bytes,
        real_left_bytes=int(count * gpu.memory_bytes * serving.utilization) - spec.weights_bytes,
        usd_per_hour=usd_per_hour,
    )
