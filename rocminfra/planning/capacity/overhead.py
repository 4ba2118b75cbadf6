"""Memory besides weights and KV cache: activations, graphs, buffers, the encoder.

It cannot be derived from a configuration. For the reference model it is calibrated: it is the
remainder after subtracting the published KV cache, so the KV cache of the reference run is an input
here and not a prediction. For every other model it is a range. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.planning.engine.kv_cache import REFERENCE_OVERHEAD_BYTES
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.model.spec import ModelSpec

GIB = 1024**3
# The budget that the ranges assume: the reference run's, and vLLM's default on GPUs of this size.
_USUAL_BATCHED_TOKENS = 8_192
_ACTIVATION_BYTES = 2


@dataclass(frozen=True)
class Overhead:
    """Overhead in bytes per GPU.

    + low, high: expected range; planning uses the upper end
    + basis: ``calibrated``, ``range`` or ``measured``
    + source: origin of the figure
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
) -> Overhead:
    """The overhead of a model per GPU.

    + max_pixels: cap on an image's pixels; None for the model's own limit
    + batched_tokens: ``max-num-batched-tokens``; the engine profiles a step of that size, so a
      larger budget may need more. A smaller one does not reliably save memory: the needs of encoder
      and graphs stay
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
        f"{base.source}; plus up to {added / GIB:.1f} GiB for the activations of {more:,} more "
        "tokens per step",
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
    """An overhead that the user measured on a running engine."""
    return Overhead(overhead_bytes, overhead_bytes, "measured", "given by the user")
