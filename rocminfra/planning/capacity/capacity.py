"""Whether a model fits a GPU, and how many tokens its KV cache keeps there.

    KV cache = memory x utilization - weights - overhead

Memory is what the driver reports (MiB), never the nominal GB. Standard library only, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rocminfra import reference_run
from rocminfra.planning.capacity import overhead as overheads
from rocminfra.planning.capacity.overhead import Overhead
from rocminfra.planning.engine.gpus import Gpu
from rocminfra.planning.engine.kv_cache import BLOCK_SIZE, available_bytes
from rocminfra.planning.model.kv_layers import KvLayout, LayerKind, layout
from rocminfra.planning.model.spec import ModelSpec

TENSOR_PARALLEL_SIZES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Serving:
    """How the engine is started; names and defaults are those of the reference run.

    + kv_dtype_bytes: 1 for an fp8 KV cache; 2 leaves it to ``auto``, which is fp8 for a model whose
      own quantization says so
    + max_pixels: cap of an image's pixels, None for the model's own
    + overhead: what is neither weights nor KV; None takes what is expected of the model
    + block_size: tokens of a block of the KV cache
    """

    utilization: float = reference_run.GPU_MEMORY_UTILIZATION
    max_model_len: int = reference_run.MAX_MODEL_LEN
    max_num_seqs: int = reference_run.MAX_NUM_SEQS
    max_num_batched_tokens: int = reference_run.MAX_NUM_BATCHED_TOKENS
    kv_dtype_bytes: int = 2
    max_pixels: int | None = None
    overhead: Overhead | None = None
    block_size: int = BLOCK_SIZE


@dataclass(frozen=True)
class Capacity:
    """A model on ``tensor_parallel`` GPUs of a kind. Bytes are of one GPU unless they say so.

    + budget_bytes: memory as the engine sees it x utilization
    + weights_bytes: of the weights on one GPU
    + kv_bytes: left for the KV cache if the overhead is at its most; may be negative
    + kv_bytes_at_best: the same if the overhead is at its least
    + kv_bytes_expected: the same at the overhead that engines like it showed
    + block_bytes: of one block
    + needed_bytes: KV cache that one request of full length takes
    + refused: why the engine would not start whatever the memory, or None
    """

    spec: ModelSpec
    gpu: Gpu
    serving: Serving
    tensor_parallel: int
    overhead: Overhead
    budget_bytes: int
    weights_bytes: int
    kv_bytes: int
    kv_bytes_at_best: int
    kv_bytes_expected: int
    layout: KvLayout
    block_bytes: int
    needed_bytes: int
    refused: str | None

    @property
    def kv_blocks(self) -> int:
        """Blocks of the KV cache, one of which the engine keeps back."""
        return self._blocks(self.kv_bytes)

    @property
    def kv_cache_tokens(self) -> int:
        """Tokens that the KV cache keeps, as the engine's log counts them."""
        return self._tokens(self.kv_bytes)

    @property
    def kv_cache_tokens_at_best(self) -> int:
        """The same if the overhead is at its least."""
        return self._tokens(self.kv_bytes_at_best)

    @property
    def kv_cache_tokens_expected(self) -> int:
        """The same at the overhead that engines like it showed."""
        return self._tokens(self.kv_bytes_expected)

    @property
    def kv_slots(self) -> tuple[int, int]:
        """Least and most tokens that all blocks together have room for, as ``num_gpu_blocks`` x
        ``block_size`` of the engine counts: the same as the tokens unless groups of layers share
        the blocks."""
        size = self.serving.block_size
        return self.kv_blocks * size, self._blocks(self.kv_bytes_at_best) * size

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of a token in all layers of the whole model, before it is split."""
        return self.spec.kv_bytes_per_token(self.serving.kv_dtype_bytes)

    @property
    def headroom_bytes(self) -> int:
        """KV cache on each GPU beyond one request of full length; negative: what is missing."""
        return self.kv_bytes - self.needed_bytes

    @property
    def fits(self) -> bool:
        """Whether one request of full length fits even if the overhead is at its most."""
        return self.refused is None and self.headroom_bytes >= 0

    @property
    def may_fit(self) -> bool:
        """Whether it fits if the overhead is at its least."""
        return self.refused is None and self.kv_bytes_at_best >= self.needed_bytes

    @property
    def itl_floor_s(self) -> float:
        """Seconds to read all weights that a token passes once at the published bandwidth."""
        return self.spec.active_bytes / (self.gpu.bandwidth_bytes_per_s * self.tensor_parallel)

    @property
    def itl_floor_decoder_s(self) -> float:
        """The same without input embedding and vision encoder, which a decode step does not
        read; a measured latency below this one is a mistake."""
        unread = self.spec.embedding_parameters + self.spec.vision_parameters
        share = unread / self.spec.parameters * self.spec.weights_bytes
        return (self.spec.active_bytes - share) / (
            self.gpu.bandwidth_bytes_per_s * self.tensor_parallel
        )

    def concurrency(self, tokens: int) -> float:
        """Requests of ``tokens`` tokens that the KV cache keeps at once, as the log counts."""
        return self.kv_blocks / self._blocks_of(tokens)

    def streams(self, tokens: int) -> int:
        """Whole requests of ``tokens`` tokens that run at once; bounded by ``max_num_seqs``."""
        usable = max(0, self.kv_blocks - 1)
        return min(self.serving.max_num_seqs, usable // self._blocks_of(tokens))

    def _blocks_of(self, tokens: int) -> int:
        serving = self.serving
        return self.layout.blocks(tokens, serving.max_num_batched_tokens, serving.block_size)

    def _blocks(self, kv_bytes: int) -> int:
        return max(0, kv_bytes) // self.block_bytes

    def _tokens(self, kv_bytes: int) -> int:
        blocks = self._blocks(kv_bytes)
        if len(self.layout.groups) == 1 and self.spec.kinds != (LayerKind.SLIDING,):
            return blocks * self.serving.block_size
        length = self.serving.max_model_len
        return int(blocks / self._blocks_of(length) * length)


def capacity(
    spec: ModelSpec, gpu: Gpu, serving: Serving | None = None, tensor_parallel: int = 1
) -> Capacity:
    """What a model has on ``tensor_parallel`` GPUs of a kind.

    Weights are split evenly; the few tensors that every GPU keeps whole (norms) are not counted.
    Raises ValueError for a utilization outside (0, 1], for lengths that are not positive, for
    layers whose sharing of blocks is not known, for a KV cache whose type is not, and for pixels
    beyond the model's own limit without a measured overhead.
    """
    how = Serving() if serving is None else serving
    if not 0 < how.utilization <= 1:
        raise ValueError(f"utilization lies in (0, 1], not {how.utilization}")
    counts = (
        how.max_model_len,
        how.max_num_seqs,
        how.max_num_batched_tokens,
        how.block_size,
        tensor_parallel,
    )
    if min(counts) < 1:
        raise ValueError(f"lengths and counts must be positive: {how}, {tensor_parallel} GPUs")
    if how.max_num_batched_tokens < how.max_num_seqs:
        raise ValueError(
            f"max-num-batched-tokens {how.max_num_batched_tokens:,} must not be below max-num-seqs "
            f"{how.max_num_seqs:,}"
        )
    if spec.prescribes_kv_type and how.kv_dtype_bytes != 1:
        raise ValueError(
            f"{spec.name}: its quantization prescribes the type of the KV cache in a way that the "
            "engine's 'auto' is not known to follow: ask with kv-cache-dtype fp8"
        )
    how = replace(how, kv_dtype_bytes=spec.kept_kv_bytes(how.kv_dtype_bytes))
    if how.overhead is None and _is_raised(spec, how.max_pixels):
        raise ValueError(
            f"{spec.name}: max-pixels {how.max_pixels:,} is more than its own limit, and what the "
            "vision encoder then needs is not known: measure it, and give it as overhead-gib"
        )
    over = how.overhead or overheads.expected(
        spec, how.max_pixels, tensor_parallel, how.max_num_batched_tokens, how.max_num_seqs, gpu
    )
    weights = -(-spec.weights_bytes // tensor_parallel)
    shared = layout(spec.layers)
    block_bytes = shared.block_bytes(how.kv_dtype_bytes, tensor_parallel, how.block_size)
    # One block more: the engine keeps one back.
    longest = shared.blocks(how.max_model_len, how.max_num_batched_tokens, how.block_size)
    needed = (longest + 1) * block_bytes

    def left(overhead_bytes: int) -> int:
        return available_bytes(gpu.engine_bytes, how.utilization, weights, overhead_bytes)

    return Capacity(
        spec=spec,
        gpu=gpu,
        serving=how,
        tensor_parallel=tensor_parallel,
        overhead=over,
        budget_bytes=int(gpu.engine_bytes * how.utilization),
        weights_bytes=weights,
        kv_bytes=left(over.high),
        kv_bytes_at_best=left(over.low),
        kv_bytes_expected=left(over.expected),
        layout=shared,
        block_bytes=block_bytes,
        needed_bytes=needed,
        refused=_refused(spec, how, tensor_parallel),
    )


def _is_raised(spec: ModelSpec, max_pixels: int | None) -> bool:
    if spec.vision is None or max_pixels is None:
        return False
    return max_pixels > spec.vision.max_pixels


def _refused(spec: ModelSpec, serving: Serving, tensor_parallel: int) -> str | None:
    if serving.max_model_len > spec.max_position:
        return (
            f"max-model-len {serving.max_model_len:,} is more than the model's "
            f"{spec.max_position:,}"
        )
    if spec.heads % tensor_parallel:
        return f"its {spec.heads} attention heads cannot be split over {tensor_parallel} GPUs"
    kv_heads = spec.layers[0].kv_heads
    is_latent = spec.layers[0].kind is LayerKind.MLA
    if is_latent or kv_heads % tensor_parallel == 0 or tensor_parallel % kv_heads == 0:
        return None
    return f"its {kv_heads} KV heads cannot be shared by {tensor_parallel} GPUs"
