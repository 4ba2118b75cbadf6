"""Whether a host's GPUs can serve a model, decided before anything is changed.

Standard library only, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rocminfra.planning.capacity.capacity import Capacity, Serving, capacity
from rocminfra.planning.capacity.remedies import Remedy, remedies
from rocminfra.planning.engine.gpus import GPUS, Gpu
from rocminfra.planning.gpus.gpu_selection import hiding_variables, visible
from rocminfra.planning.model.spec import ModelSpec
from rocminfra.settings.extra_args import has_option, value_of

GIB = 1024**3
# Arguments of the engine that change what has to fit: in ways that are not modelled, or because
# the last of two wins over the setting that the plan was made of.
_UNMODELLED = (
    "--quantization",
    "-q",
    "--cpu-offload-gb",
    "--pipeline-parallel-size",
    "-pp",
    "--kv-cache-memory-bytes",
    "--num-gpu-blocks-override",
    "--hf-overrides",
    "--load-format",
    "--speculative-config",
    "--enable-lora",
    "--block-size",
    "--config",
    "--gpu-memory-utilization",
    "--max-model-len",
    "--max-num-seqs",
    "--max-num-batched-tokens",
    "--kv-cache-dtype",
    "--dtype",
    "--tensor-parallel-size",
    "-tp",
    "--data-parallel-size",
    "-dp",
    "--mm-processor-kwargs",
)
# Options that multiply the GPUs of an engine, with their short forms.
_COPIES = {"--pipeline-parallel-size": "-pp", "--data-parallel-size": "-dp"}
# The driver's figure and the table's differ by a few hundred MiB between guests and bare metal.
_SAME_MEMORY = 0.02

# No wrong overhead explains a factor like this; the practice droplet's engine, which serves a toy
# and simulates a large model, does.
_ANOTHER_MODEL = 10


@dataclass(frozen=True)
class Fits:
    """It fits, or may.

    + capacity: what is planned
    + doubt: why it is not certain, or None
    """

    capacity: Capacity
    doubt: str | None = None


@dataclass(frozen=True)
class DoesNotFit:
    """It cannot fit.

    + what: one sentence
    + why: the evidence, and what would make it fit, a line each
    + remedy: the smallest change that would make it fit, or None
    """

    what: str
    why: tuple[str, ...]
    remedy: Remedy | None


@dataclass(frozen=True)
class NotChecked:
    """Nothing can be said; ``reason`` says why."""

    reason: str


Fit = Fits | DoesNotFit | NotChecked


def decide_fit(
    spec: ModelSpec,
    memory_mib: Sequence[int],
    serving: Serving,
    tensor_parallel: int = 1,
    extra_args: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Fit:
    """Whether the engine would start.

    + memory_mib: of each of the host's GPUs that an engine may use, as the driver reports it; empty
      if unknown
    + extra_args: further arguments of the engine
    + environment: of the engine; it may hide GPUs from it
    """
    refused = too_few_gpus(memory_mib, tensor_parallel, extra_args, environment)
    if refused is not None:
        return refused
    unmodelled = [name for name in _UNMODELLED if has_option(extra_args, name)]
    if unmodelled:
        return NotChecked(f"what {unmodelled[0]} among the extra arguments does is not modelled")
    if not memory_mib:
        return NotChecked("the GPU's memory is not known (no answer from amd-smi)")
    seen = _visible_memory(memory_mib, environment or {})
    try:
        planned = capacity(spec, gpu_of(min(seen)), serving, tensor_parallel)
    except ValueError as error:
        return NotChecked(str(error))
    if planned.fits:
        return Fits(planned)
    if planned.may_fit:
        return Fits(
            planned, f"it fits only if {_range(planned)} of overhead turn out to be at the low end"
        )
    return _does_not_fit(planned)


def gpus_needed(tensor_parallel: int, extra_args: Sequence[str] = ()) -> tuple[int, str]:
    """GPUs of this host that the engine uses, whatever its model, and how they come about.

    + extra_args: further arguments of the engine, of which some multiply it
    """
    copies = {name: _count(value_of(extra_args, name, short)) for name, short in _COPIES.items()}
    # Those on this host, where there are others.
    local = _count(value_of(extra_args, "--data-parallel-size-local", "-dpl"))
    copies["--data-parallel-size"] = local or copies["--data-parallel-size"]
    words = [f"tensor_parallel_size {tensor_parallel}"]
    words += [f"{name} {count}" for name, count in copies.items() if count > 1]
    needed = tensor_parallel * math.prod(max(1, count) for count in copies.values())
    return needed, " x ".join(words)


def too_few_gpus(
    memory_mib: Sequence[int],
    tensor_parallel: int,
    extra_args: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> DoesNotFit | None:
    """Why the engine sees fewer GPUs than it uses, whatever its model; None when it does not, or
    when nobody knows.

    + the parameters: see :func:`decide_fit`
    """
    if not memory_mib:
        return None
    there, seen = len(memory_mib), len(_visible_memory(memory_mib, environment or {}))
    if tensor_parallel > seen:
        return _too_few(tensor_parallel, seen, there, environment or {})
    needed, words = gpus_needed(tensor_parallel, extra_args)
    if needed <= seen:
        return None
    return DoesNotFit(
        f"{words} are {needed} GPUs, and the engine sees {seen} of {there}",
        ("ask for fewer in vllm.extra_args",),
        None,
    )


def _count(text: str | None) -> int:
    """A count as vLLM takes it; 0 for none, and for what its own check refuses."""
    return int(text) if text and text.isdecimal() and len(text) < 7 else 0


def _visible_memory(memory_mib: Sequence[int], environment: Mapping[str, str]) -> tuple[int, ...]:
    positions = visible(len(memory_mib), environment)
    if positions is None:
        # Named by their UUIDs: at the most all of them.
        return tuple(memory_mib)
    return tuple(memory_mib[index] for index in positions)


def _too_few(wanted: int, seen: int, there: int, environment: Mapping[str, str]) -> DoesNotFit:
    what = f"tensor_parallel_size is {wanted} and the host has {there} GPUs"
    if seen < there:
        hiding = ", ".join(f"{key}={value}" for key, value in hiding_variables(environment).items())
        what += f", of which the engine sees {seen} ({hiding} in engine.environment)"
    remedy = Remedy("as many as there are", "tensor_parallel", f"{seen}")
    return DoesNotFit(what, (), remedy if seen else None)


def gpu_of(memory_mib: int) -> Gpu:
    """The GPU of that much memory, with the driver's own figure in it."""
    near = [
        gpu
        for gpu in GPUS.values()
        if abs(memory_mib / gpu.memory_mib - 1) < _SAME_MEMORY and gpu.name.startswith("AMD")
    ]
    known = near[0] if near else replace(GPUS["mi300x"], key="unknown", name="GPU")
    return replace(known, memory_mib=memory_mib)


def _does_not_fit(planned: Capacity) -> DoesNotFit:
    spec, count = planned.spec, planned.tensor_parallel
    gpus = f"{count} x {planned.gpu.name} of {planned.gpu.memory_mib:,} MiB"
    if planned.refused is not None:
        return DoesNotFit(f"{spec.name} cannot be served: {planned.refused}", (), None)
    missing = planned.needed_bytes - planned.kv_bytes_at_best
    found = remedies(planned)
    smallest = next((remedy for remedy in found if remedy.argument is not None), None)
    return DoesNotFit(
        f"{spec.name} does not fit {gpus}: {missing / GIB:.1f} GiB per GPU are missing",
        (
            f"usable {planned.budget_bytes / GIB:.1f} GiB per GPU "
            f"({planned.serving.utilization:.0%} of {planned.gpu.memory_bytes / GIB:.1f})",
            f"weights {planned.weights_bytes / GIB:.1f} GiB per GPU, at least "
            f"{planned.overhead.low / GIB:.1f} GiB for activations, graphs and buffers, "
            f"{planned.needed_bytes / GIB:.1f} GiB of KV cache for one request of "
            f"{planned.serving.max_model_len:,} tokens",
            *(f"it would fit with {remedy.words}" for remedy in found),
        ),
        smallest,
    )


def _range(planned: Capacity) -> str:
    over = planned.overhead
    return f"{over.low / GIB:.1f} to {over.high / GIB:.1f} GiB"


def compared(planned: Capacity, engine_tokens: int) -> str:
    """The planner's figure beside the engine's own, in one sentence.

    + engine_tokens: ``num_gpu_blocks`` x ``block_size`` as the running engine reports them
    """
    low, high = planned.kv_slots
    expected = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    words = f"KV cache: the engine keeps {engine_tokens:,} tokens, planned were {expected}"
    if low <= engine_tokens <= high:
        return f"{words}: as planned"
    nearest = low if engine_tokens < low else high
    if nearest == 0:
        return words
    if not 1 / _ANOTHER_MODEL < engine_tokens / nearest < _ANOTHER_MODEL:
        return f"{words}: this is the KV cache of another model than config.json describes"
    return f"{words}: {engine_tokens / nearest - 1:+.1%}"
