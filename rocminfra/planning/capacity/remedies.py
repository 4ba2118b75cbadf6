"""What would make a model fit that does not, each remedy computed and not guessed.

Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rocminfra.planning.capacity.capacity import TENSOR_PARALLEL_SIZES, Capacity, capacity
from rocminfra.planning.engine.gpus import GPUS
from rocminfra.planning.engine.kv_cache import BLOCK_SIZE

# More than this leaves too little for what else is on the GPU, and the engine refuses to start.
MOST_UTILIZATION = 0.95


@dataclass(frozen=True)
class Remedy:
    """Something that makes it fit.

    + words: for people
    + argument: the argument of ``capacity.gate`` to change; None when it takes other hardware
    + value: what to change it to
    """

    words: str
    argument: str | None = None
    value: str = ""


def remedies(short: Capacity) -> tuple[Remedy, ...]:
    """What would make ``short`` fit, the smallest change first; empty if nothing known would."""
    found: list[Remedy] = []
    found.extend(_more_utilization(short))
    found.extend(_shorter(short))
    found.extend(_fp8(short))
    found.extend(_more_gpus(short))
    found.extend(_larger_gpus(short))
    return tuple(found)


def _more_utilization(short: Capacity) -> list[Remedy]:
    """The least share of the memory that does, in whole per cent."""
    first = math.floor(short.serving.utilization * 100) + 1
    for percent in range(first, round(MOST_UTILIZATION * 100) + 1):
        serving = replace(short.serving, utilization=percent / 100)
        if capacity(short.spec, short.gpu, serving, short.tensor_parallel).fits:
            words = f"{percent} % of the memory instead of {short.serving.utilization:.0%}"
            return [Remedy(words, "utilization", f"{percent / 100}")]
    return []


def _shorter(short: Capacity) -> list[Remedy]:
    """The longest length that fits, if it is worth having."""
    longest = short.spec.max_position
    low, high = 0, min(short.serving.max_model_len, longest) // BLOCK_SIZE
    while low < high:
        middle = (low + high + 1) // 2
        serving = replace(short.serving, max_model_len=middle * BLOCK_SIZE)
        if capacity(short.spec, short.gpu, serving, short.tensor_parallel).fits:
            low = middle
        else:
            high = middle - 1
    tokens = low * BLOCK_SIZE
    if tokens < 1_024 or tokens >= short.serving.max_model_len:
        return []
    return [
        Remedy(f"a maximum length of {tokens:,} tokens", "max_model_len", f"{tokens}"),
    ]


def _fp8(short: Capacity) -> list[Remedy]:
    if short.serving.kv_dtype_bytes == 1:
        return []
    serving = replace(short.serving, kv_dtype_bytes=1)
    if not capacity(short.spec, short.gpu, serving, short.tensor_parallel).fits:
        return []
    return [Remedy("an fp8 KV cache", "kv_cache_dtype", "fp8")]


def _more_gpus(short: Capacity) -> list[Remedy]:
    for size in TENSOR_PARALLEL_SIZES:
        if size <= short.tensor_parallel:
            continue
        if capacity(short.spec, short.gpu, short.serving, size).fits:
            words = f"{size} x {short.gpu.name} with tensor parallelism"
            return [Remedy(words, "tensor_parallel", f"{size}")]
    return []


def _larger_gpus(short: Capacity) -> list[Remedy]:
    larger = [
        gpu
        for gpu in GPUS.values()
        if gpu.memory_mib > short.gpu.memory_mib
        and capacity(short.spec, gpu, short.serving, short.tensor_parallel).fits
    ]
    count = f"{short.tensor_parallel} x " if short.tensor_parallel > 1 else "one "
    names = " or ".join(
        gpu.name for gpu in sorted(larger, key=lambda gpu: (gpu.memory_mib, gpu.name))
    )
    return [Remedy(f"{count}{names}")] if larger else []
