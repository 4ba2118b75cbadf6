"""The duration of one engine step: bytes over bandwidth, FLOPs over peak, plus an overhead.

Every term is physical; the fractions say how much of the published peaks kernels reach. Standard
library only: the engine simulator's image contains this file.
"""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.planning.engine.gpus import MI300X, Gpu
from rocminfra.planning.engine.model_shape import QWEN2_VL_72B, ModelShape
from rocminfra.planning.engine.steps import Step


@dataclass(frozen=True)
class LatencyConstants:
    """The achieved share of the published peaks.

    + bandwidth_fraction: share of the published memory bandwidth. 3.76 of 5.3 TB/s is the
      copy-type ceiling measured on an MI300X guest.
    + compute_fraction: share of the dense bf16 peak in large matrix products. Calibrated on the
      published time between tokens of DocVQA (1,879 ms); published GEMM measurements on MI300X
      lie between 0.4 and 0.55 of 1,307 TFLOP/s.
    + attention_fraction: share of the peak in attention over a prompt. Published forward figures
      of flash attention on MI300X lie between 0.2 and 0.35.
    + vision_fraction: share of the peak in the vision encoder, whose matrices are small
      (hidden size 1,280) and whose attention is not causal.
    + step_overhead_s: scheduling, sampling and launches per step that the GPU waits for. Calibrated
      on the published time between tokens of one stream (39.6 ms): the remainder after subtracting
      the time for the bytes.
    """

    bandwidth_fraction: float = 0.71
    compute_fraction: float = 0.40
    attention_fraction: float = 0.25
    vision_fraction: float = 0.20
    step_overhead_s: float = 0.8e-3

    def __post_init__(self) -> None:
        fractions = (
            self.bandwidth_fraction,
            self.compute_fraction,
            self.attention_fraction,
            self.vision_fraction,
        )
        if not all(0 < fraction <= 1 for fraction in fractions) or self.step_overhead_s < 0:
            raise ValueError(
                f"fractions must be in (0, 1] and the overhead must not be negative: {self}"
            )


@dataclass(frozen=True)
class StepTime:
    """The parts of a step's time, in seconds.

    + matrices: the decoder's matrix products; reading the weights once, or the FLOPs of all
      tokens, whichever takes longer
    + kv_read: reading the live keys and values
    + attention: FLOPs of attention over prompts
    + vision: FLOPs of the vision encoder
    + overhead: fixed time per step
    """

    matrices: float
    kv_read: float
    attention: float
    vision: float
    overhead: float

    @property
    def total(self) -> float:
        """Total time of the step, in seconds."""
        return self.matrices + self.kv_read + self.attention + self.vision + self.overhead


class LatencyModel:
    """Seconds per step for a model on a GPU.

    + model, gpu: model and GPU; those of the reference run by default
    + constants: achieved share of the peaks
    + tensor_parallel: GPUs that share every step; their communication is not modelled
    """

    def __init__(
        self,
        model: ModelShape = QWEN2_VL_72B,
        gpu: Gpu = MI300X,
        constants: LatencyConstants | None = None,
        tensor_parallel: int = 1,
    ) -> None:
        self.model = model
        self.gpu = gpu
        self.constants = LatencyConstants() if constants is None else constants
        bandwidth = gpu.bandwidth_bytes_per_s * tensor_parallel * self.constants.bandwidth_fraction
        peak = gpu.bf16_flops * tensor_parallel
        shared = model.decoder_parameters - model.expert_parameters
        self._weights_s = shared * model.dtype_bytes / bandwidth
        self._experts_s = model.expert_parameters * model.dtype_bytes / bandwidth
        self._kv_token_s = model.kv_bytes_per_token / bandwidth
        reached_flops = peak * self.constants.compute_fraction
        self._token_s = 2 * model.active_parameters / reached_flops
        self._sample_s = 2 * model.head_parameters / reached_flops
        # Two products (scores, values) of 2 FLOPs a pair, head dimension and head.
        pair_flops = 4 * model.layers * model.heads * model.head_dim
        self._pair_s = pair_flops / (peak * self.constants.attention_fraction)
        self._vision_flops = peak * self.constants.vision_fraction

    def step_time(self, step: Step) -> StepTime:
        """The parts of the time of ``step``."""
        tokens = 0
        context = 0
        pairs = 0
        sampled = 0
        for chunk in step.chunks:
            tokens += chunk.tokens
            context += chunk.context
            sampled += chunk.samples
            if chunk.tokens > 1:
                # Causal: a token attends to everything computed before it, and on average half of
                # its chunk.
                pairs += chunk.tokens * chunk.context + chunk.tokens * (chunk.tokens + 1) // 2
        vision = 0.0
        for patches in step.encoded_patches:
            vision += self._encode_s(patches)
        weights = self._weights_s
        if self.model.experts is not None:
            weights += self._experts_s * self.model.experts.touched(tokens)
        return StepTime(
            matrices=max(weights, tokens * self._token_s + sampled * self._sample_s),
            kv_read=context * self._kv_token_s,
            attention=pairs * self._pair_s,
            vision=vision,
            overhead=self.constants.step_overhead_s,
        )

    def _encode_s(self, patches: int) -> float:
        vision = self.model.vision
        if vision is None:
            return 0.0
        # Two products (scores, values) of 2 FLOPs a pair and value of the hidden size.
        attention = 4 * vision.hidden * vision.attention_pairs(patches)
        return (vision.weights_flops(patches) + attention) / self._vision_flops

    def seconds(self, step: Step) -> float:
        """Duration of ``step`` in seconds."""
        return self.step_time(step).total
