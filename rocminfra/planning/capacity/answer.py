"""The answer of ``rocminfra capacity``, assembled from the planning modules."""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.planning.capacity.alternatives import Alternative, alternatives
from rocminfra.planning.capacity.capacity import TENSOR_PARALLEL_SIZES, Capacity, Serving, capacity
from rocminfra.planning.capacity.remedies import Remedy, remedies
from rocminfra.planning.engine.gpus import Gpu
from rocminfra.planning.engine.model_shape import image_tokens
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.model.spec import ModelSpec

# Published medians of a DocVQA request: 4,996 tokens, of which a letter page of 3.86 megapixels is
# 4,960 (80 x 62) and chat template and question the rest; an answer of 19.
DOCVQA_PROMPT_TOKENS = 4_996
PAGE_TEXT_TOKENS = 36
PAGE_ANSWER_TOKENS = 19


@dataclass(frozen=True)
class Pages:
    """Questions about scanned pages.

    + width, height: size of a page in pixels
    + image_tokens: tokens of a page
    + request_tokens: tokens including question, chat template and answer
    + wanted: requested streams
    + fit: streams whose requests can run at the same time
    + docvqa_fit: the same for the published median request of DocVQA (4,996 tokens and 19 more);
      None with capped pixels, and for models that split images differently
    """

    width: int
    height: int
    image_tokens: int
    request_tokens: int
    wanted: int
    fit: int
    docvqa_fit: int | None = None


@dataclass(frozen=True)
class CapacityPlan:
    """All answers.

    + chosen: for the requested number of GPUs
    + sizes: for 1, 2, 4 and 8 GPUs
    + pages: None for a model without images
    + remedies: changes that would make it fit; empty if it fits
    + alternatives: the nodes of the published comparison, for the reference model
    """

    chosen: Capacity
    sizes: tuple[Capacity, ...]
    pages: Pages | None
    remedies: tuple[Remedy, ...]
    alternatives: tuple[Alternative, ...]


def plan_capacity(
    spec: ModelSpec,
    gpu: Gpu,
    serving: Serving,
    count: int,
    page: tuple[int, int],
    streams: int,
) -> CapacityPlan:
    """Compute every answer. Raises ValueError for impossible values.

    + count: GPUs of one engine (tensor parallelism)
    + page: width and height of a page in pixels
    + streams: requested simultaneous requests
    """
    chosen = capacity(spec, gpu, serving, count)
    is_reference = spec.name == REFERENCE_NAME
    return CapacityPlan(
        chosen=chosen,
        sizes=tuple(capacity(spec, gpu, serving, size) for size in TENSOR_PARALLEL_SIZES),
        pages=_pages(chosen, page, streams),
        remedies=() if chosen.fits else remedies(chosen),
        alternatives=alternatives(spec, serving) if is_reference else (),
    )


def _pages(chosen: Capacity, page: tuple[int, int], streams: int) -> Pages | None:
    spec = chosen.spec
    width, height = page
    if spec.vision is not None:
        tokens = image_tokens(width, height, spec.vision, chosen.serving.max_pixels)
    elif spec.image_tokens is not None:
        tokens = spec.image_tokens
    else:
        return None
    request = tokens + PAGE_TEXT_TOKENS + PAGE_ANSWER_TOKENS
    if request > chosen.serving.max_model_len:
        return Pages(width, height, tokens, request, streams, 0)
    fit = min(streams, chosen.streams(request))
    docvqa_fit = None
    if spec.vision is not None and chosen.serving.max_pixels is None:
        median = DOCVQA_PROMPT_TOKENS + PAGE_ANSWER_TOKENS
        docvqa_fit = min(streams, chosen.streams(median))
    return Pages(width, height, tokens, request, streams, fit, docvqa_fit)
