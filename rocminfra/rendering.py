"""Rendering of the files that land on a host."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rocminfra.planning.engine_command import (
    container_environment,
    docker_run_arguments,
    environment_lines,
    systemd_value,
    systemd_word,
)
from rocminfra.planning.gpus.gpu_selection import DRI
from rocminfra.playbook_files import playbook_root
from rocminfra.settings import Settings

MANAGED = "Written by rocminfra; changes are overwritten by its next run."


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(playbook_root() / "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        # Configuration files, not HTML.
        autoescape=False,
    )
    environment.filters["systemd_word"] = systemd_word
    environment.filters["systemd_value"] = systemd_value
    environment.filters["shell_word"] = shlex.quote
    return environment


def render(name: str, values: Mapping[str, object]) -> str:
    """Render ``templates/<name>``; a value that the template misses is an error.

    + name: file name below ``templates/``
    + values: everything the template uses
    """
    return _environment().get_template(name).render(managed=MANAGED, **values)


def vllm_environment(settings: Settings) -> str:
    """The environment file of the engine's container."""
    return render("vllm.env.j2", {"lines": environment_lines(container_environment(settings))})


def vllm_unit(
    settings: Settings,
    *,
    image: str,
    group_ids: Sequence[int],
    config_hash: str,
    devices: Sequence[str] = (DRI,),
) -> str:
    """The engine's unit.

    + image: pinned reference
    + group_ids: numeric ids of the groups that own the GPU's device nodes
    + config_hash: goes onto the container as a label
    + devices: nodes of the GPUs that the container may use
    """
    engine = settings.engine
    preflight = [
        *("--port", str(settings.vllm.port)),
        *("--vram-percent", f"{engine.vram_clean_percent:g}"),
        *("--vram-timeout", str(engine.vram_clean_timeout_s)),
        *("--image", image),
        *("--container", engine.container_name),
        *("--stop-timeout", str(engine.stop_timeout_s)),
    ]
    if settings.model.is_local_folder:
        preflight += ["--model", settings.model_argument]
    return render(
        "vllm.service.j2",
        {
            "engine": engine,
            "model_name": settings.model.name,
            "mount_point": settings.storage.mount_point,
            # Stopping what is left of an earlier container, and waiting for its VRAM.
            "start_timeout_s": engine.stop_timeout_s + engine.vram_clean_timeout_s + 120,
            "stop_timeout_s": engine.stop_timeout_s + 30,
            "preflight": preflight,
            "docker_run": docker_run_arguments(
                settings,
                image=image,
                group_ids=group_ids,
                config_hash=config_hash,
                devices=devices,
            ),
        },
    )
