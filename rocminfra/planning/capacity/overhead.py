"""What an engine needs besides weights and KV cache: activations, graphs, buffers, the encoder.

It cannot be derived from a configuration. For the reference model it is calibrated: it is what is
left when the published KV cache is taken off, so the KV cache of the reference run is an input
here and no prediction. For every other model it is a range. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.planning.engine.kv_cache import REFERENCE_OVERHEAD_BYTES
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.model.spec import ModelSpec

GIB = 1024**3
# The budget of the reference run, and vLLM's default on GPUs of this size: what the ranges are for.
_USUAL_BATCHED_TOKENS = 8_192
_ACTIVATION_BYTES = 2


@dataclass(frozen=True)
class Overhead:
    """Bytes on each GPU.

    + low, high: least and most that is expected; planning takes the most
    + basis: ``calibrated``, ``range`` or ``measured``
    + source: where it comes from
    """

    low: int
    high: int
    basis: str
    source: str


_TEXT = Overhead(
    2 * GIB, 3 * GIB, "range", "text-only models on vLLM: 2 to 3 GiB, from field reports"
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
    "between a text-only model and a large vision model: how much capped or few image tokens save "
    "is not published",
)
_REFERENCE = Overhead(
    REFERENCE_OVERHEAD_BYTES,
    REFERENCE_OVERHEAD_BYTES,
    "calibrated",
    "196,288 MiB x 0.92 less 136.73 GiB of weights less the 32.18 GiB of KV cache that the "
    "reference run published: an input, so that run's KV cache is no check of this figure",
)


def expected(
    spec: ModelSpec,
    max_pixels: int | None,
    tensor_parallel: int,
    batched_tokens: int = _USUAL_BATCHED_TOKENS,
) -> Overhead:
    """The overhead of a model on each GPU.

    + max_pixels: cap of an image's pixels, None for the model's own limit
    + batched_tokens: ``max-num-batched-tokens``; the engine profiles a step of that many, so more
      than usual may need more. Fewer save nothing for certain: what an encoder or the graphs need
      stays
    """
    base = _at_usual_budget(spec, max_pixels, tensor_parallel)
    more = batched_tokens - _USUAL_BATCHED_TOKENS
    if more <= 0:
        return base
    added = more * spec.activation_values * _ACTIVATION_BYTES // tensor_parallel
    return Overhead(
        base.low,
        base.high + added,
        "range",
        f"{base.source}; and up to {added / GIB:.1f} GiB for the activations of {more:,} more "
        "tokens a step",
    )


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
    """An overhead that somebody read off a running engine."""
    return Overhead(overhead_bytes, overhead_bytes, "measured", "given by the user")
