"""Values that are fine alone and not together: each rule names its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rocminfra.settings import engine_variables, extra_args
from rocminfra.settings.foreign_names import visible_gpus
from rocminfra.settings.host_folders import shared
from rocminfra.settings.problems import RuleBroken

if TYPE_CHECKING:
    from rocminfra.settings.schema import Engine, Settings, Vllm


def of_image_source(engine: Engine) -> None:
    """An archive is named where images come from archives, and only there."""
    if engine.image_source == "archive" and engine.image_archive is None:
        raise RuleBroken(
            "image_source 'archive' needs image_archive",
            "engine.image_source",
            "engine.image_archive",
        )
    if engine.image_source == "registry" and engine.image_archive is not None:
        raise RuleBroken(
            "image_archive is only read with image_source 'archive'",
            "engine.image_archive",
            "engine.image_source",
        )


def of_stopping(engine: Engine) -> None:
    """Docker waits longer than the engine does."""
    if engine.stop_timeout_s <= engine.shutdown_timeout_s:
        raise RuleBroken(
            f"stop_timeout_s ({engine.stop_timeout_s}) must be longer than the engine's own "
            f"shutdown_timeout_s ({engine.shutdown_timeout_s})",
            "engine.stop_timeout_s",
            "engine.shutdown_timeout_s",
        )


def of_batches(vllm: Vllm) -> None:
    """vLLM's SchedulerConfig refuses both at start, minutes later and less clearly."""
    if vllm.max_num_batched_tokens < vllm.max_num_seqs:
        raise RuleBroken(
            f"max_num_batched_tokens ({vllm.max_num_batched_tokens}) must not be below "
            f"max_num_seqs ({vllm.max_num_seqs})",
            "vllm.max_num_batched_tokens",
            "vllm.max_num_seqs",
        )
    if not vllm.enable_chunked_prefill and vllm.max_num_batched_tokens < vllm.max_model_len:
        raise RuleBroken(
            "without chunked prefill max_num_batched_tokens "
            f"({vllm.max_num_batched_tokens}) must not be below max_model_len "
            f"({vllm.max_model_len})",
            "vllm.max_num_batched_tokens",
            "vllm.max_model_len",
            "vllm.enable_chunked_prefill",
        )


def of_extra_args(vllm: Vllm) -> None:
    """What the arguments and a setting both say."""
    together = extra_args.problems(vllm.extra_args, vllm.max_pixels)
    if together:
        raise RuleBroken("; ".join(together), "vllm.extra_args", "vllm.max_pixels")


def of_folders(settings: Settings) -> None:
    """Caches and Docker live on the scratch disk, each in a folder of its own."""
    mount = settings.storage.mount_point
    home, data_root = settings.huggingface.home, settings.docker.data_root
    # The container's mounts are written with colons between their parts.
    for key, path in (("storage.mount_point", mount), ("huggingface.home", home)):
        if ":" in path:
            raise RuleBroken(f"{key} ({path}) must have no colon, which would end a path", key)
    for key, path in (("huggingface.home", home), ("docker.data_root", data_root)):
        if not path.startswith(f"{mount}/"):
            raise RuleBroken(
                f"{key} ({path}) must lie below storage.mount_point ({mount})",
                key,
                "storage.mount_point",
            )
    folders = {
        "huggingface.home": home,
        "docker.data_root": data_root,
        "the compile caches": settings.caches_dir,
        "copied models": settings.models_dir,
    }
    for name, other in shared(folders):
        keys = [one for one in (name, other) if "." in one]
        raise RuleBroken(
            f"{name} ({folders[name]}) must not share the folder of {other} ({folders[other]})",
            *keys,
        )


def of_visible_gpus(settings: Settings) -> None:
    """The engine sees as many GPUs as it splits the model over."""
    left = visible_gpus(settings.engine.environment)
    wanted = settings.vllm.tensor_parallel_size
    if left is not None and left[1] < wanted:
        raise RuleBroken(
            f"vllm.tensor_parallel_size is {wanted}, and {left[0]} in engine.environment leaves "
            f"{left[1]} GPUs",
            "engine.environment",
            "vllm.tensor_parallel_size",
        )


def of_own_port(settings: Settings) -> None:
    """The engine's own connections are elsewhere than what it serves."""
    problem = engine_variables.own_port_problem(settings.engine.environment, settings.vllm.port)
    if problem is not None:
        raise RuleBroken(problem, "engine.environment", "vllm.port")
