"""vLLM as a systemd unit: image, programs, unit, readiness."""

from collections.abc import Sequence

from rocminfra.host.programs import installed, shared
from rocminfra.host_paths import ENGINE_ENVIRONMENT, PREFLIGHT, READINESS, SCRATCH_GUARD
from rocminfra.model_files import planning_hub
from rocminfra.operations import (
    capacity,
    engine,
    engine_gate,
    host_files,
    prerequisites,
    rocm,
)
from rocminfra.operations.host_files import HostFile
from rocminfra.operations.host_settings import current
from rocminfra.planning.engine_command import serve_arguments
from rocminfra.rendering import vllm_environment, vllm_unit

UNIT = "vllm.service"
settings = current()
prerequisites.tell_release()
prerequisites.gate(mount_point=settings.storage.mount_point, docker=True)
engine_gate.gate(unit=UNIT, container=settings.engine.container_name, port=settings.vllm.port)
plan = capacity.gate(
    model=settings.model.planned_as or settings.model.source,
    dtype=settings.vllm.dtype,
    utilization=settings.vllm.gpu_memory_utilization,
    max_model_len=settings.vllm.max_model_len,
    max_num_seqs=settings.vllm.max_num_seqs,
    max_num_batched_tokens=settings.vllm.max_num_batched_tokens,
    kv_cache_dtype=settings.vllm.kv_cache_dtype,
    max_pixels=settings.vllm.max_pixels,
    tensor_parallel=settings.vllm.tensor_parallel_size,
    extra_args=settings.vllm.extra_args,
    environment=settings.engine.environment,
    revision=None if settings.model.planned_as else settings.model.revision,
    hub=planning_hub(settings),
)


def unit(image: str, group_ids: Sequence[int], config_hash: str) -> str:
    """The unit's text once image and groups are known, which is when the operation runs."""
    return vllm_unit(
        settings,
        image=image,
        group_ids=group_ids,
        config_hash=config_hash,
        devices=rocm.container_devices(),
    )


host_files.present(
    name="Install the host programs",
    files=[
        *(HostFile(path, text) for path, text in shared().items()),
        *(HostFile(path, installed(path)) for path in (SCRATCH_GUARD, PREFLIGHT, READINESS)),
    ],
)

engine.image(
    name=f"Pull {settings.engine.image}",
    reference=settings.engine.image,
    archive=settings.engine.image_archive,
)

service = engine.service(
    name=UNIT,
    unit=UNIT,
    container=settings.engine.container_name,
    reference=settings.engine.image,
    environment_file=HostFile(ENGINE_ENVIRONMENT, vllm_environment(settings), mode=0o600),
    render=unit,
    arguments=serve_arguments(settings),
    port=settings.vllm.port,
    address=settings.vllm.asked_at,
    model=settings.model.name,
    timeout_s=settings.engine.ready_timeout_s,
)

engine.ready(
    name=f"Wait until {settings.model.name} answers",
    unit=UNIT,
    container=settings.engine.container_name,
    port=settings.vllm.port,
    address=settings.vllm.asked_at,
    model=settings.model.name,
    timeout_s=settings.engine.ready_timeout_s,
)

capacity.compared(
    name="Compare the KV cache with the plan",
    plan=plan,
    port=settings.vllm.port,
    address=settings.vllm.asked_at,
    started=service.did_change,
)
