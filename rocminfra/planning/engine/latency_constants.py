"""What kernels, links and the host reach, for each GPU, and which of it is only assumed.

One constant for each physical effect and GPU, fitted on what others published
(``benchmarks/published/``) and on the reference run; ``docs/planning.md`` shows published against
predicted. Standard library only: the engine simulator's image carries this file.
"""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.planning.engine.gpus import Gpu


@dataclass(frozen=True)
class LatencyConstants:
    """What is reached of the peaks, and what a step costs besides; defaults are MI300X's.

    + bandwidth_fraction: share of the published memory bandwidth. 3.76 of 5.3 TB/s is the
      copy-type ceiling measured on an MI300X guest; vLLM's decode kernels reach a little more
    + compute_fraction: share of the dense bf16 peak in large matrix products. Calibrated on the
      published time between tokens of DocVQA (1,879 ms); published GEMM measurements on MI300X
      lie between 0.4 and 0.55 of 1,307 TFLOP/s
    + attention_fraction: share of the peak in attention over a prompt. Published forward figures
      of flash attention on MI300X lie between 0.2 and 0.35
    + mixed_kv_pace: pace at which live keys and values are read in a step that computes prompts
      too, whose kernel does not share a long sequence among the whole GPU; 1 is that of others
    + vision_fraction: share of the peak in the vision encoder, whose matrices are small
      (hidden size 1,280) and whose attention is not causal
    + step_overhead_s: scheduling and launches on the host, a step
    + layer_overhead_s: what a layer's kernels take beyond bytes and FLOPs (launches inside graphs,
      norms, rotary embeddings, small matrices). Calibrated on the published time between tokens of
      one stream (39.6 ms): what bytes leave of it
    + batch_layer_s: what they take more in a step of more than one token, where matrix products
      take the place of products with a vector
    + sequence_overhead_s: sampling, scheduling and streaming of one sequence on the host, a step;
      an engine that schedules ahead does both while the GPU computes
    + expert_layer_s: routing and sorting tokens of a mixture of experts, a layer
    + expert_fraction: share of ``compute_fraction`` that the kernels of experts reach, whose
      matrices are small
    + expert_read_pace: pace at which they read their weights; 1 is that of others
    + fp8_layer_s: quantizing activations, a layer of a model with 8-bit weights
    + fp8_pace: FLOPs of 8-bit kernels over those of bf16
    + exchange_s: latency of one all-reduce between GPUs, two a layer, ranks that wait included
    + link_fraction: share of the published link bandwidth that an all-reduce reaches
    """

    bandwidth_fraction: float = 0.73
    compute_fraction: float = 0.40
    attention_fraction: float = 0.25
    mixed_kv_pace: float = 1.0
    vision_fraction: float = 0.20
    step_overhead_s: float = 0.3e-3
    layer_overhead_s: float = 24e-6
    batch_layer_s: float = 54e-6
    sequence_overhead_s: float = 20e-6
    expert_layer_s: float = 25e-6
    expert_fraction: float = 0.10
    expert_read_pace: float = 1.0
    fp8_layer_s: float = 20e-6
    fp8_pace: float = 1.2
    exchange_s: float = 9e-6
    link_fraction: float = 0.75

    def __post_init__(self) -> None:
        fractions = (
            self.bandwidth_fraction,
            self.compute_fraction,
            self.attention_fraction,
            self.vision_fraction,
            self.expert_fraction,
            self.expert_read_pace,
            self.mixed_kv_pace,
            self.link_fraction,
        )
        times = (
            self.step_overhead_s,
            self.layer_overhead_s,
            self.batch_layer_s,
            self.sequence_overhead_s,
            self.expert_layer_s,
            self.fp8_layer_s,
            self.exchange_s,
        )
        if not all(0 < fraction <= 1 for fraction in fractions) or min(times) < 0:
            raise ValueError(f"fractions lie in (0, 1] and an overhead is not negative: {self}")
        if not 0 < self.fp8_pace <= 2:
            raise ValueError(f"8-bit kernels reach at most twice the pace of bf16: {self}")


@dataclass(frozen=True)
class GpuConstants:
    """Constants of one GPU.

    + constants: what the latency model takes
    + assumed: fields that no public measurement on this GPU gave, taken from another one
    + taken_from: that other GPU, or None
    """

    constants: LatencyConstants
    assumed: tuple[str, ...] = ()
    taken_from: str | None = None


_NO_VISION = ("vision_fraction",)
_H100 = LatencyConstants(
    bandwidth_fraction=0.88,
    compute_fraction=0.43,
    attention_fraction=0.40,
    mixed_kv_pace=1.0,
    vision_fraction=0.25,
    layer_overhead_s=50e-6,
    batch_layer_s=0.0,
    expert_layer_s=30e-6,
    expert_fraction=0.52,
    expert_read_pace=1.0,
    fp8_layer_s=12e-6,
    fp8_pace=1.9,
    exchange_s=9e-6,
)
_A100 = LatencyConstants(
    bandwidth_fraction=0.86,
    compute_fraction=0.56,
    attention_fraction=0.43,
    mixed_kv_pace=1.0,
    vision_fraction=0.25,
    layer_overhead_s=80e-6,
    batch_layer_s=0.0,
    expert_layer_s=40e-6,
    expert_fraction=0.40,
    expert_read_pace=1.0,
    fp8_layer_s=20e-6,
    fp8_pace=0.67,
    exchange_s=9e-6,
)
_ALL = tuple(LatencyConstants.__dataclass_fields__)
_TABLE: dict[str, GpuConstants] = {
    "mi300x": GpuConstants(LatencyConstants()),
    "mi325x": GpuConstants(LatencyConstants(), _ALL, "mi300x"),
    "a100-80": GpuConstants(_A100, _NO_VISION),
    "h100-80": GpuConstants(_H100, _NO_VISION),
    "h200": GpuConstants(_H100, _ALL, "h100-80"),
    "b200": GpuConstants(_H100, _ALL, "h100-80"),
}


def constants_of(gpu: Gpu) -> GpuConstants:
    """Constants of a GPU; those of MI300X, all marked as assumed, for one without any."""
    return _TABLE.get(gpu.key, GpuConstants(LatencyConstants(), _ALL, "mi300x"))
