"""The engine's container command and environment, as pure functions of the settings.

The published command of the reference run is one case of it, less its two faults: ``--model``
before the image, which Docker rejects, and ``VLLM_USE_TRITON_FLASH_ATTN``, which no longer exists
(removed by vLLM pull request 27611).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from rocminfra.host_paths import ENGINE_ENVIRONMENT
from rocminfra.planning.gpus.gpu_selection import DRI
from rocminfra.settings import Settings

CONFIG_LABEL = "rocminfra.config"
# Stands in the unit while its hash is computed, because the hash is part of the unit.
HASH_PLACEHOLDER = "0" * 64


def cache_environment(settings: Settings) -> dict[str, str]:
    """Variables that put every cache of the model's and the compilers' on the scratch disk.

    Sources: huggingface_hub (``HF_HOME``, ``HF_XET_CACHE``), vLLM (``VLLM_CACHE_ROOT``), Triton
    (``TRITON_CACHE_DIR``), AITER (``AITER_JIT_DIR``), MIOpen (``MIOPEN_USER_DB_PATH``,
    ``MIOPEN_CUSTOM_CACHE_DIR``).
    """
    caches = settings.caches_dir
    return {
        "HF_HOME": settings.huggingface.home,
        "HF_XET_CACHE": f"{settings.huggingface.home}/xet",
        "VLLM_CACHE_ROOT": f"{caches}/vllm",
        "TRITON_CACHE_DIR": f"{caches}/triton",
        "AITER_JIT_DIR": f"{caches}/aiter",
        "MIOPEN_USER_DB_PATH": f"{caches}/miopen",
        "MIOPEN_CUSTOM_CACHE_DIR": f"{caches}/miopen",
    }


def container_environment(settings: Settings) -> dict[str, str]:
    """Environment of the engine's container; holds no secret.

    ``HF_HUB_OFFLINE`` is set because weights are fetched before the engine starts: a start never
    waits for, and is never changed by, the hub.
    """
    environment = cache_environment(settings)
    environment["HF_HUB_OFFLINE"] = "1"
    # Redirects would let a client's image URL reach the cloud's metadata service.
    environment["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] = "0"
    environment.update(settings.engine.environment)
    return environment


def serve_arguments(settings: Settings) -> list[str]:
    """Arguments that follow the image, whose entrypoint is ``vllm serve``."""
    vllm = settings.vllm
    arguments = [
        settings.model_argument,
        f"--served-model-name={settings.model.name}",
        f"--host={vllm.host}",
        f"--port={vllm.port}",
        f"--dtype={vllm.dtype}",
        f"--gpu-memory-utilization={vllm.gpu_memory_utilization}",
        f"--max-model-len={vllm.max_model_len}",
        f"--max-num-seqs={vllm.max_num_seqs}",
        f"--max-num-batched-tokens={vllm.max_num_batched_tokens}",
        "--enable-chunked-prefill"
        if vllm.enable_chunked_prefill
        else "--no-enable-chunked-prefill",
        f"--shutdown-timeout={settings.engine.shutdown_timeout_s}",
        # A misspelt or removed VLLM_* variable ends the start instead of being ignored.
        "--fail-on-environ-validation",
    ]
    if vllm.tensor_parallel_size > 1:
        arguments.append(f"--tensor-parallel-size={vllm.tensor_parallel_size}")
    if vllm.kv_cache_dtype != "auto":
        arguments.append(f"--kv-cache-dtype={vllm.kv_cache_dtype}")
    if vllm.max_pixels is not None:
        pixels = json.dumps({"max_pixels": vllm.max_pixels}, separators=(",", ":"))
        arguments.append(f"--mm-processor-kwargs={pixels}")
    if settings.model.revision is not None and not settings.model.is_local_folder:
        arguments.append(f"--revision={settings.model.revision}")
    return [*arguments, *vllm.extra_args]


def docker_run_arguments(
    settings: Settings,
    *,
    image: str,
    group_ids: Sequence[int],
    config_hash: str,
    devices: Sequence[str] = (DRI,),
) -> list[str]:
    """Everything after ``docker run``.

    + image: pinned reference, ``name@sha256:…`` or an image ID
    + group_ids: numeric ids of the groups that own the GPU's device nodes; names would be
      resolved inside the image, where they mean something else or nothing
    + config_hash: hash of unit, environment and image, kept as a label on the container
    + devices: the GPUs' nodes: all of them, unless the host has cards that are no GPU for an engine
    """
    vllm = settings.vllm
    arguments = [
        *("--rm", "--init", "--pull=never"),
        f"--name={settings.engine.container_name}",
        f"--label={CONFIG_LABEL}={config_hash}",
        f"--stop-timeout={settings.engine.stop_timeout_s}",
        # journald has the output already; this driver rotates its own copy.
        "--log-driver=local",
        "--network=host",
        "--device=/dev/kfd",
        *(f"--device={path}" for path in devices),
        *(f"--group-add={gid}" for gid in sorted(set(group_ids))),
        f"--env-file={ENGINE_ENVIRONMENT}",
        # Not the whole scratch disk, as was published: Docker's own data is on it, and who may
        # write that owns the host.
        *(f"--volume={path}:{path}:{mode}" for path, mode in _volumes(settings)),
    ]
    if vllm.ipc_host:
        arguments.append("--ipc=host")
    if not vllm.ipc_host and vllm.shm_size is not None:
        arguments.append(f"--shm-size={vllm.shm_size}")
    return [*arguments, image, *serve_arguments(settings)]


def _volumes(settings: Settings) -> list[tuple[str, str]]:
    return [
        (settings.caches_dir, "rw"),
        (settings.huggingface.home, "rw"),
        (settings.models_dir, "ro"),
    ]


def systemd_word(word: str) -> str:
    """``word`` as one argument of an ``Exec`` line (systemd.service(5), "Command lines")."""
    return systemd_value(word.replace("$", "$$"))


def systemd_value(value: str) -> str:
    """``value`` as one word of any other line: specifiers escaped, variables are not expanded."""
    escaped = value.replace("%", "%%")
    if escaped and not any(char in escaped for char in " \t\"'\\;"):
        return escaped
    quoted = escaped.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


def environment_lines(environment: dict[str, str]) -> list[str]:
    """Lines for ``docker run --env-file``, which takes values literally, quotes included."""
    return [f"{name}={value}" for name, value in sorted(environment.items())]


def config_hash(*, unit: str, environment: str, image: str) -> str:
    """SHA-256 over unit (with :data:`HASH_PLACEHOLDER`), environment file and image."""
    digest = hashlib.sha256()
    for part in (unit, environment, image):
        encoded = part.encode()
        digest.update(f"{len(encoded)}:".encode())
        digest.update(encoded)
    return digest.hexdigest()
