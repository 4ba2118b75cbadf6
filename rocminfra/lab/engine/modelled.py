"""The engine that is modelled: Qwen2-VL-72B on the reference GPU, whatever folder is served.

A toy model's folder is served, its tokenizer counts, and its name answers; capacity and times are
those of the 72B model, so that a rehearsal meets the limits of the real run. Flags count as they
do there: utilization, KV dtype, parallelism, lengths, capped pixels. ``ROCMINFRA_SIM_*`` variables
change GPU, KV blocks and latency.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from rocminfra.lab.engine.arguments import ServeArguments
from rocminfra.lab.engine.simulation import Simulation, SimulationError
from rocminfra.planning.engine.gpus import GPUS, Gpu
from rocminfra.planning.engine.kv_cache import BLOCK_SIZE, available_bytes
from rocminfra.planning.engine.latency import LatencyModel
from rocminfra.planning.engine.latency_constants import LatencyConstants, constants_of
from rocminfra.planning.engine.model_shape import QWEN2_VL_72B, ModelShape
from rocminfra.planning.engine.scheduler import SchedulerConfig

_GIB = 1024**3


class CapacityError(ValueError):
    """The KV cache is too small; vLLM's words."""


@dataclass(frozen=True)
class Modelled:
    """What the simulated engine is made of.

    + kv_bytes: bytes of the KV cache on one GPU
    """

    gpu: Gpu
    model: ModelShape
    scheduler: SchedulerConfig
    latency: LatencyModel
    weights_bytes: int
    kv_bytes: int

    @property
    def kv_tokens(self) -> int:
        """Tokens that the KV cache keeps."""
        return self.scheduler.num_gpu_blocks * self.scheduler.block_size


def modelled(arguments: ServeArguments, simulation: Simulation, max_model_len: int) -> Modelled:
    """The engine for these flags.

    Raises :class:`CapacityError` when the model or one request of full length does not fit, and
    SimulationError for a GPU that is not in the table.
    """
    gpu = GPUS.get(simulation.gpu)
    if gpu is None:
        raise SimulationError(
            f"ROCMINFRA_SIM_GPU={simulation.gpu!r}: known are {', '.join(sorted(GPUS))}"
        )
    model = QWEN2_VL_72B
    if arguments.kv_cache_dtype.startswith("fp8"):
        model = dataclasses.replace(model, kv_dtype_bytes=1)
    tensor_parallel = arguments.tensor_parallel_size
    weights = model.weights_bytes // tensor_parallel
    block_bytes = BLOCK_SIZE * model.kv_bytes_per_token // tensor_parallel
    override = simulation.kv_blocks or arguments.num_gpu_blocks_override
    if override is not None:
        available = override * block_bytes
    else:
        available = available_bytes(gpu.memory_bytes, arguments.gpu_memory_utilization, weights)
    _check_room(available, block_bytes, max_model_len)
    return Modelled(
        gpu=gpu,
        model=model,
        scheduler=SchedulerConfig(
            num_gpu_blocks=available // block_bytes,
            max_num_seqs=arguments.max_num_seqs,
            max_num_batched_tokens=arguments.max_num_batched_tokens,
            max_model_len=max_model_len,
            encoder_tokens=_encoder_tokens(arguments, model),
            enable_chunked_prefill=arguments.enable_chunked_prefill,
        ),
        latency=LatencyModel(model, gpu, _constants(simulation, gpu), tensor_parallel),
        weights_bytes=weights,
        kv_bytes=available,
    )


def _check_room(available: int, block_bytes: int, max_model_len: int) -> None:
    if available < 2 * block_bytes:
        raise CapacityError(
            "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` "
            "when initializing the engine. See "
            "https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details."
        )
    # One block is kept back as the null block.
    tokens = (available // block_bytes - 1) * BLOCK_SIZE
    if tokens < max_model_len:
        needed = -(-max_model_len // BLOCK_SIZE) * block_bytes
        raise CapacityError(
            "To serve at least one request with the models's max seq len "
            f"({max_model_len}), ({needed / _GIB:.2f} GiB KV cache is needed, which is larger than "
            f"the available KV cache memory ({available / _GIB:.2f} GiB). Based on the available "
            f"memory, the estimated maximum model length is {tokens}. Try increasing "
            "`gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine."
        )


def _encoder_tokens(arguments: ServeArguments, model: ModelShape) -> int:
    if model.vision is None:
        return arguments.max_num_batched_tokens
    pixels = model.vision.max_pixels
    if arguments.max_pixels is not None:
        pixels = min(pixels, arguments.max_pixels)
    largest = pixels // (model.vision.patch * model.vision.merge) ** 2
    return max(arguments.max_num_batched_tokens, largest)


def _constants(simulation: Simulation, gpu: Gpu) -> LatencyConstants:
    given = {
        "bandwidth_fraction": simulation.bandwidth_fraction,
        "compute_fraction": simulation.compute_fraction,
        "attention_fraction": simulation.attention_fraction,
        "vision_fraction": simulation.vision_fraction,
        "step_overhead_s": None
        if simulation.step_overhead_ms is None
        else simulation.step_overhead_ms / 1000,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(constants_of(gpu).constants, **changed)
