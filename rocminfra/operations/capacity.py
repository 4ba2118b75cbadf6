"""Does the model fit this host's GPUs: refused before any change, compared after the start.

.. code:: python

    from rocminfra.operations import capacity

    plan = capacity.gate(model="/srv/models/llama", utilization=0.92, max_model_len=16384)
    # … start the engine …
    capacity.compared(
        name="KV cache as planned", plan=plan, port=8000, started=service.did_change
    )
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyinfra import host, logger, state
from pyinfra.api import operation

from rocminfra import reference_run
from rocminfra.facts.engine_cache import EngineCacheConfig
from rocminfra.facts.gpu_memory import GpuMemory
from rocminfra.failure import Again, Argument, Do, Failure, Fault, Next
from rocminfra.hub.repository import Hub
from rocminfra.model_files import load_model
from rocminfra.operations.commands import Commands
from rocminfra.operations.foreseen import foresee
from rocminfra.operations.host_failures import exclude
from rocminfra.planning.capacity.capacity import Serving
from rocminfra.planning.capacity.fit import (
    DoesNotFit,
    Fit,
    Fits,
    NotChecked,
    decide_fit,
    gpus_needed,
    too_few_gpus,
)
from rocminfra.planning.capacity.fit import compared as in_words
from rocminfra.planning.foreseen import Foreseen
from rocminfra.planning.model.spec import UnknownModelError


def gate(
    model: str,
    dtype: str = "auto",
    utilization: float = reference_run.GPU_MEMORY_UTILIZATION,
    max_model_len: int = reference_run.MAX_MODEL_LEN,
    max_num_seqs: int = reference_run.MAX_NUM_SEQS,
    max_num_batched_tokens: int = reference_run.MAX_NUM_BATCHED_TOKENS,
    kv_cache_dtype: str = "auto",
    max_pixels: int | None = None,
    tensor_parallel: int = 1,
    extra_args: Sequence[str] = (),
    revision: str | None = None,
    environment: Mapping[str, str] | None = None,
    hub: Hub | None = None,
) -> Fit:
    """Take the host out of the run, before any change, when the model cannot fit its GPUs.

    + model: a folder on the operator's machine, or a repository; one that is neither built in nor
      on this machine is looked up on the hub, in kilobytes; what cannot be looked up is not
      checked, and that is said
    + hub: where a repository is looked up; None for nowhere
    + revision: of a repository; None for its ``main``
    + environment: of the engine's container; it may hide GPUs from the engine
    + the others: arguments of the engine

    For a task's top level, in the prepare stage. What is unknown is not refused: the engine may
    know better, and says so when it starts.
    """
    try:
        spec = load_model(model, dtype, revision, hub)
    except UnknownModelError as error:
        # Whatever the model is, it needs its GPUs.
        is_asked = gpus_needed(tensor_parallel, extra_args)[0] > 1
        memory = host.get_fact(GpuMemory) if is_asked else ()
        refused = too_few_gpus(memory, tensor_parallel, extra_args, environment)
        if refused is not None:
            exclude(state, host, _failure(refused))
            return refused
        host.log(f"whether the model fits is not checked: {error}", logger.info)
        foresee(host, Foreseen(f"whether the model fits was not checked: {error}"))
        return NotChecked(str(error))
    serving = Serving(
        utilization=utilization,
        max_model_len=max_model_len,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens,
        kv_dtype_bytes=1 if kv_cache_dtype.startswith("fp8") else 2,
        max_pixels=max_pixels,
    )
    memory_mib: tuple[int, ...] = host.get_fact(GpuMemory)
    decision = decide_fit(spec, memory_mib, serving, tensor_parallel, extra_args, environment)
    if isinstance(decision, DoesNotFit):
        exclude(state, host, _failure(decision))
    elif isinstance(decision, NotChecked):
        host.log(f"whether the model fits is not checked: {decision.reason}", logger.info)
        words = f"whether the model fits was not checked: {decision.reason}"
        foresee(host, Foreseen(words, weights_bytes=spec.weights_bytes))
    elif decision.doubt is not None:
        host.log(f"{spec.name}: {decision.doubt}", logger.warning)
    if isinstance(decision, Fits):
        foresee(host, _foreseen(decision))
    return decision


@operation()
def compared(
    plan: Fit, port: int, started: Callable[[], bool], address: str = "127.0.0.1"
) -> Commands:
    """Say how the running engine's KV cache compares with the plan; changes nothing.

    + plan: what :func:`gate` returned
    + port: of the engine
    + started: whether this run has started the engine; otherwise there is nothing new to say, and
      the host is not asked
    + address: where the engine is asked, on the host itself

    While operations are prepared the engine may not run yet, so it is asked when they run, after
    the one that waits for it.
    """
    yield from ()
    if not state.is_executing or not isinstance(plan, Fits) or not started():
        host.noop("compared when the engine has been started")
        return
    cache = host.get_fact(EngineCacheConfig, port=port, address=address)
    if cache is None:
        host.noop("the engine does not say how large its KV cache is")
        return
    words = in_words(plan.capacity, cache.tokens)
    host.log(words, logger.info)
    host.noop(words)


def _foreseen(decision: Fits) -> Foreseen:
    planned = decision.capacity
    spare = planned.headroom_bytes / 1024**3
    words = f"{planned.spec.name} fits: {spare:.1f} GiB per GPU to spare"
    if decision.doubt is not None:
        words = f"{planned.spec.name} may fit: {decision.doubt}"
    return Foreseen(words, weights_bytes=planned.spec.weights_bytes)


def _failure(decision: DoesNotFit) -> Failure:
    following: Next = Do("rocminfra capacity")
    if decision.remedy is not None and decision.remedy.argument is not None:
        change = (Argument("capacity", decision.remedy.argument), decision.remedy.value)
        following = Again(arguments=(change,))
    return Failure(Fault.MODEL_DOES_NOT_FIT, decision.what, decision.why, following)
