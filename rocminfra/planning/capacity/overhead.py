"""Memory besides weights and KV cache: activations, graphs, buffers, the encoder.

It cannot be derived from a configuration alone. For the reference model it is calibrated: it is
what is left when the published KV cache is taken off, so the KV cache of the reference run is an
input here and no prediction. For every other model it is a range: what start-up logs of others
showed (``benchmarks/published/capacity.yaml``), and a worst case beyond them. Standard library
only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rocminfra.planning.engine.gpus import Gpu
from rocminfra.planning.engine.kv_cache import REFERENCE_OVERHEAD_BYTES
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.model.spec import ModelSpec

GIB = 1024**3
# The budget that the ranges assume: the reference run's, and vLLM's default on GPUs of this size.
_USUAL_BATCHED_TOKENS = 8_192
_ACTIVATION_BYTES = 2
# Sequences of the reference run, up to which the ranges hold the sampler's buffers.
_USUAL_SEQS = 64
# Logits and probabilities in float32, sorted values and 64-bit indices, for each sequence and entry
# of the vocabulary: the engine profiles sampling with as many sequences as it may run.
_SAMPLER_BYTES = 24
_MOST_SAMPLER_BYTES = 32


@dataclass(frozen=True)
class Overhead:
    """Overhead in bytes per GPU.

    + low, high: expected range; planning uses the upper end
    + basis: ``calibrated``, ``range`` or ``measured``
    + source: where it comes from
    + likely: what engines like it showed; None for the middle of low and high
    """

    low: int
    high: int
    basis: str
    source: str
    likely: int | None = None

    @property
    def expected(self) -> int:
        """What is most likely."""
        return (self.low + self.high) // 2 if self.likely is None else self.likely


_TEXT = Overhead(
    GIB // 4,
    3 * GIB,
    "range",
    "text-only models on vLLM: start-up logs show 0.3 to 1.4 GiB, field reports up to 3",
    GIB // 2,
)
_LARGE_IMAGES = Overhead(
    5 * GIB,
    8 * GIB,
    "range",
    "large vision models, profiled at their largest image: 5 to 8 GiB, from field reports and the "
    "reference run's 7.44 GiB",
)
_SMALL_IMAGES = Overhead(
    2 * GIB,
    8 * GIB,
    "range",
    "between a text-only model and a large vision model: the savings from capped or few image "
    "tokens are not published",
)
_REFERENCE = Overhead(
    REFERENCE_OVERHEAD_BYTES,
    REFERENCE_OVERHEAD_BYTES,
    "calibrated",
    "196,288 MiB x 0.92 minus 136.73 GiB of weights minus the published 32.18 GiB of KV cache of "
    "the reference run: an input, so that run's KV cache does not validate this figure",
)


def expected(
    spec: ModelSpec,
    max_pixels: int | None,
    tensor_parallel: int,
    batched_tokens: int = _USUAL_BATCHED_TOKENS,
    max_num_seqs: int = _USUAL_SEQS,
    gpu: Gpu | None = None,
) -> Overhead:
    """The overhead of a model per GPU.

    + max_pixels: cap of an image's pixels, None for the model's own limit
    + batched_tokens: ``max-num-batched-tokens``; the engine profiles a step of that many, so more
      than usual may need more. Fewer save nothing for certain: what an encoder or the graphs need
      stays
    + max_num_seqs: ``max-num-seqs``; the engine profiles sampling with as many sequences
    + gpu: which; AMD's communicators keep more for themselves
    """
    base = _at_usual_budget(spec, max_pixels, tensor_parallel)
    parts: list[str] = []
    if base is _TEXT:
        # What start-up logs show goes with the step's tokens, within the range.
        step = min(batched_tokens, _USUAL_BATCHED_TOKENS) * spec.activation_values
        likely = base.expected + step * _ACTIVATION_BYTES // tensor_parallel
        base = replace(base, likely=likely)
    more = batched_tokens - _USUAL_BATCHED_TOKENS
    if more > 0:
        added = more * spec.activation_values * _ACTIVATION_BYTES // tensor_parallel
        base = _more(base, 0, added // 2, added)
        parts.append(
            f"up to {added / GIB:.1f} GiB for the activations of {more:,} more tokens a step"
        )
    seqs = max_num_seqs - _USUAL_SEQS
    if seqs > 0:
        entries = seqs * spec.vocabulary
        base = _more(base, 0, entries * _SAMPLER_BYTES, entries * _MOST_SAMPLER_BYTES)
        parts.append(
            f"{entries * _SAMPLER_BYTES / GIB:.1f} to "
            f"{entries * _MOST_SAMPLER_BYTES / GIB:.1f} GiB for sampling {seqs:,} more sequences"
        )
    if tensor_parallel > 1:
        is_amd = gpu is None or gpu.is_meshed
        most = 5 * GIB // 2 if is_amd else 3 * GIB // 2
        base = _more(base, GIB // 5, 3 * GIB // 10, most)
        parts.append(f"0.2 to {most / GIB:.1f} GiB for the exchange between GPUs")
    if spec.experts is not None:
        most = 2 * GIB if tensor_parallel == 1 else 4 * GIB
        base = _more(base, 0, most // 4, most)
        parts.append(f"up to {most / GIB:.0f} GiB for the buffers of experts")
    if not parts:
        return base
    return replace(base, basis="range", source="; and ".join([base.source, *parts]))


def _more(base: Overhead, low: int, likely: int, high: int) -> Overhead:
    return replace(base, low=base.low + low, high=base.high + high, likely=base.expected + likely)


def _at_usual_budget(spec: ModelSpec, max_pixels: int | None, tensor_parallel: int) -> Overhead:
    is_capped = max_pixels is not None
    if spec.vision is not None and max_pixels is not None:
        is_capped = max_pixels < spec.vision.max_pixels
    is_reference = spec.name == REFERENCE_NAME and spec.dtype_bytes == 2
    if is_reference and not is_capped and tensor_parallel == 1:
        return _REFERENCE
    if not spec.has_vision:
        return _TEXT
    if spec.vision is not None and not is_capped:
        return _LARGE_IMAGES
    return _SMALL_IMAGES


def measured(overhead_bytes: int) -> Overhead:
    """An overhead that the user measured on a running engine."""
    return Overhead(overhead_bytes, overhead_bytes, "measured", "given by the user")
