"""How long one step of the engine takes: bytes over bandwidth, FLOPs over peak, and overheads.

Every term is physical; ``latency_constants.py`` says how much of the published peaks kernels reach
and what layers, sequences and the exchange between GPUs cost. Standard library only: the engine
simulator's image carries this file.
"""

from __future__ import annotations

from typing import NamedTuple

from rocminfra.planning.engine.gpus import MI300X, Gpu
from rocminfra.planning.engine.latency_constants import LatencyConstants, constants_of
from rocminfra.planning.engine.model_shape import QWEN2_VL_72B, ModelShape
from rocminfra.planning.engine.steps import Step

# Bytes and FLOPs of a step overlap partly: the longer of the two is too optimistic where they are
# near each other, their sum too pessimistic. The norm of this order lies between.
_OVERLAP = 3.0
# Values that GPUs exchange are bf16, whatever the weights are.
_EXCHANGED_BYTES = 2
_ALL_REDUCES_A_LAYER = 2


class StepTime(NamedTuple):
    """The parts of a step's time, in seconds.

    + matrices: the decoder's matrix products: reading the weights once and the FLOPs of all
      tokens, which overlap partly
    + kv_read: reading the live keys and values
    + attention: FLOPs of attention over prompts
    + vision: FLOPs of the vision encoder
    + overhead: a step's, its layers' and its sequences'
    + exchange: all-reduces between GPUs
    """

    matrices: float
    kv_read: float
    attention: float
    vision: float
    overhead: float
    exchange: float = 0.0

    @property
    def total(self) -> float:
        """Seconds of the step."""
        return (
            self.matrices
            + self.kv_read
            + self.attention
            + self.vision
            + self.overhead
            + self.exchange
        )


class LatencyModel:
    """Seconds per step for a model on a GPU.

    + model, gpu: what runs where; the reference run's by default
    + constants: what is reached of the peaks; those of the GPU by default
    + tensor_parallel: GPUs that share every step
    + is_scheduled_ahead: whether the engine chooses a step while the one before runs, so that the
      GPU waits only for what of the host's work takes longer than its own
    """

    def __init__(
        self,
        model: ModelShape = QWEN2_VL_72B,
        gpu: Gpu = MI300X,
        constants: LatencyConstants | None = None,
        tensor_parallel: int = 1,
        is_scheduled_ahead: bool = False,
    ) -> None:
        self.model = model
        self.gpu = gpu
        reached = constants_of(gpu).constants if constants is None else constants
        self.constants = reached
        bandwidth = gpu.bandwidth_bytes_per_s * tensor_parallel * reached.bandwidth_fraction
        peak = gpu.bf16_flops * tensor_parallel
        is_fp8 = model.dtype_bytes == 1
        reached_flops = peak * reached.compute_fraction * (reached.fp8_pace if is_fp8 else 1.0)
        shared = model.decoder_parameters - model.expert_parameters
        self._weights_s = shared * model.dtype_bytes / bandwidth
        self._experts_s = (
            model.expert_parameters * model.dtype_bytes / (bandwidth * reached.expert_read_pace)
        )
        self._kv_token_s = model.kv_bytes_per_token / bandwidth
        self._mixed_kv_token_s = self._kv_token_s / reached.mixed_kv_pace
        passed = model.active_parameters - model.active_expert_parameters
        slow = model.active_expert_parameters / reached.expert_fraction
        self._token_s = 2 * (passed + slow) / reached_flops
        self._sample_s = 2 * model.head_parameters / reached_flops
        # Two products (scores, values) of 2 FLOPs a pair, head dimension and head.
        pair_flops = 4 * model.layers * model.heads * model.head_dim
        self._pair_s = pair_flops / (peak * reached.attention_fraction)
        self._vision_flops = peak * reached.vision_fraction
        a_layer = reached.layer_overhead_s
        if model.experts is not None:
            a_layer += reached.expert_layer_s
        if is_fp8:
            a_layer += reached.fp8_layer_s
        self._layers_s = model.layers * a_layer
        self._batch_s = model.layers * reached.batch_layer_s
        self._host_s = reached.step_overhead_s
        self._host_sequence_s = reached.sequence_overhead_s
        self._is_scheduled_ahead = is_scheduled_ahead
        self._exchange_s = self._exchange_token_s = 0.0
        if tensor_parallel > 1:
            times = _ALL_REDUCES_A_LAYER * model.layers
            self._exchange_s = times * reached.exchange_s
            # Each GPU sends and receives this share of what is reduced, twice.
            moved = 2 * (tensor_parallel - 1) / tensor_parallel
            link = gpu.link_bytes_per_s(tensor_parallel) * reached.link_fraction
            self._exchange_token_s = times * moved * model.hidden * _EXCHANGED_BYTES / link

    def step_time(self, step: Step) -> StepTime:
        """The parts of the time of ``step``."""
        tokens = 0
        context = 0
        pairs = 0
        sampled = 0
        for _, count, before, samples in step.chunks:
            tokens += count
            context += before
            sampled += samples
            if count > 1:
                # Causal: a token attends to everything computed before it, and on average half of
                # its chunk.
                pairs += count * before + count * (count + 1) // 2
        vision = 0.0
        for patches in step.encoded_patches:
            vision += self._encode_s(patches)
        return self.time_of(tokens, context, pairs, sampled, vision)

    def time_of(
        self, tokens: int, context: int, pairs: int, sampled: int, vision: float = 0.0
    ) -> StepTime:
        """The parts of the time of a step.

        + tokens: that are computed
        + context: tokens before them whose keys and values are read
        + pairs: of tokens that attend to each other in prompts
        + sampled: tokens that come out
        + vision: seconds of the encoder
        """
        weights = self._weights_s
        if self.model.experts is not None:
            weights += self._experts_s * self.model.experts.touched(tokens)
        compute = tokens * self._token_s + sampled * self._sample_s
        matrices = _overlapped(weights, compute)
        kv_read = context * (self._mixed_kv_token_s if pairs else self._kv_token_s)
        attention = pairs * self._pair_s
        layers = self._layers_s + (self._batch_s if tokens > 1 else 0.0)
        exchange = self._exchange_s + tokens * self._exchange_token_s
        host = self._host_s + sampled * self._host_sequence_s
        if self._is_scheduled_ahead:
            host = max(0.0, host - (matrices + kv_read + attention + vision + layers + exchange))
        return StepTime(matrices, kv_read, attention, vision, layers + host, exchange)

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


def _overlapped(one: float, other: float) -> float:
    longer, shorter = max(one, other), min(one, other)
    if longer == 0:
        return 0.0
    return float(longer * (1.0 + (shorter / longer) ** _OVERLAP) ** (1.0 / _OVERLAP))
