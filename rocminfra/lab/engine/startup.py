"""vLLM's messages while it loads, paced by the scaled clock, and its failures at load."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from rocminfra.lab.engine.arguments import VERSION, ServeArguments
from rocminfra.lab.engine.logs import EngineLog
from rocminfra.lab.engine.modelled import Modelled
from rocminfra.lab.engine.simulation import FailureMode, Simulation

_GIB = 1024**3
# Shares of the load: weights, then compiling and profiling, then capturing graphs. A 147 GB model
# takes 30 to 75 s from NVMe, 30 to 120 s to compile and 30 to 60 s for the rest.
_WEIGHTS = 0.5
_COMPILE = 0.3
_CAPTURE = 0.2


class LoadFailure(Exception):
    """The engine's process ends while loading; the message is the traceback's last line."""


@dataclass(frozen=True)
class Load:
    """What is loaded.

    + max_model_len: length in effect
    """

    arguments: ServeArguments
    simulation: Simulation
    modelled: Modelled
    max_model_len: int


def announce(load: Load, log: EngineLog) -> None:
    """The lines before anything is loaded."""
    arguments = load.arguments
    log.api("utils.py:299", f"vLLM version {VERSION}, serving model {arguments.model}")
    if arguments.model_was_an_option:
        log.api(
            "serve.py:72",
            "With `vllm serve`, you should provide the model as a positional argument or in a "
            "config file instead of via the `--model` option.",
            "WARNING",
        )
    log.api("model.py:549", "Resolved architecture: Qwen2VLForConditionalGeneration")
    log.api("model.py:1678", f"Using max model len {load.max_model_len}")
    if arguments.enable_chunked_prefill:
        log.api(
            "scheduler.py:238",
            "Chunked prefill is enabled with max_num_batched_tokens="
            f"{arguments.max_num_batched_tokens}.",
        )
    log.core(
        "core.py:105",
        f"Initializing a V1 LLM engine (v{VERSION}) with config: model={arguments.model!r}, "
        f"dtype={arguments.dtype}, max_seq_len={load.max_model_len}, "
        f"tensor_parallel_size={arguments.tensor_parallel_size}, "
        f"kv_cache_dtype={arguments.kv_cache_dtype}; simulated: {load.modelled.model.name} on "
        f"{load.modelled.gpu.name}, time scale {load.simulation.time_scale:g}",
    )


async def load_model(load: Load, log: EngineLog) -> None:
    """Take as long as a real load, and log vLLM's messages.

    Raises :class:`LoadFailure` in the modes that end it.
    """
    seconds = load.simulation.load_seconds / load.simulation.time_scale
    failure = load.simulation.failure
    if failure is FailureMode.SLOW_LOAD:
        seconds = load.simulation.failure_amount
    if failure is FailureMode.CRASH_LOOP:
        raise LoadFailure("RuntimeError: simulated failure at every start (crash-loop)")
    began = time.monotonic()
    log.core("gpu_model_runner.py:4735", f"Starting to load model {load.arguments.model}...")
    if failure is FailureMode.OOM_AT_LOAD:
        await asyncio.sleep(seconds * _WEIGHTS / 2)
        raise LoadFailure(_out_of_memory(load))
    await asyncio.sleep(seconds * _WEIGHTS)
    if failure is FailureMode.CRASH_AT_LOAD:
        raise LoadFailure("RuntimeError: simulated failure while the weights load (crash-at-load)")
    took = time.monotonic() - began
    log.core("default_loader.py:384", f"Loading weights took {took:.2f} seconds")
    log.core(
        "gpu_model_runner.py:4820",
        f"Model loading took {load.modelled.weights_bytes / _GIB:.2f} GiB memory and "
        f"{took:.6f} seconds",
    )
    log.core(
        "gpu_model_runner.py:5738",
        "Encoder cache will be initialized with a budget of "
        f"{load.modelled.scheduler.encoder_tokens} tokens, and profiled with 1 image items of the "
        "maximum feature size.",
    )
    profiling = time.monotonic()
    await asyncio.sleep(seconds * _COMPILE)
    log.core("monitor.py:48", f"torch.compile took {time.monotonic() - profiling:.2f} s in total")
    _say_capacity(load, log)
    capture = time.monotonic()
    await asyncio.sleep(seconds * _CAPTURE)
    log.core(
        "gpu_model_runner.py:5886",
        f"Graph capturing finished in {time.monotonic() - capture:.0f} secs, took 0.66 GiB",
    )
    log.core(
        "core.py:283",
        "init engine (profile, create kv cache, warmup model) took "
        f"{time.monotonic() - profiling:.2f} seconds",
    )


def failure_report(error: LoadFailure | ValueError, log: EngineLog) -> None:
    """What vLLM prints if its engine cannot start: the reason first, the summary last."""
    log.core("core.py:1108", "EngineCore failed to start.", "ERROR")
    log.core("core.py:1108", "Traceback (most recent call last):", "ERROR")
    reason = str(error) if isinstance(error, LoadFailure) else f"ValueError: {error}"
    log.core("core.py:1108", reason, "ERROR")
    log.raw("Traceback (most recent call last):")
    log.raw(
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core "
        "proc(s): {'EngineCore_DP0': 1}"
    )


def _say_capacity(load: Load, log: EngineLog) -> None:
    modelled = load.modelled
    tokens = modelled.kv_tokens
    log.core("gpu_worker.py:436", f"Available KV cache memory: {modelled.kv_bytes / _GIB:.2f} GiB")
    log.core("kv_cache_utils.py:1319", f"GPU KV cache size: {tokens:,} tokens")
    log.core(
        "kv_cache_utils.py:1324",
        f"Maximum concurrency for {load.max_model_len:,} tokens per request: "
        f"{tokens / load.max_model_len:.2f}x",
    )


def _out_of_memory(load: Load) -> str:
    total = load.modelled.gpu.memory_bytes / _GIB
    return (
        "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 462.00 MiB. GPU 0 has a "
        f"total capacity of {total:.2f} GiB of which 312.00 MiB is free. Of the allocated memory "
        f"{total - 1.28:.2f} GiB is allocated by PyTorch, and 22.35 MiB is reserved by PyTorch but "
        "unallocated. If reserved but unallocated memory is large try setting "
        "PYTORCH_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  See documentation "
        "for Memory Management  "
        "(https://pytorch.org/docs/stable/notes/cuda.html#environment-variables)"
    )
