"""What ``capacity`` and ``predict`` take where no option says otherwise: a host's own settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.inventory.hosts_file import read_hosts_file
from rocminfra.inventory.sources import named_file
from rocminfra.model_files import planning_hub
from rocminfra.settings import Settings, SettingsError, load_settings
from rocminfra.settings.environment import environment_settings
from rocminfra.settings.problems import refusal

# Where the playbook looks as well.
HOSTS = Path("inventory/hosts.yaml")


def host_settings(name: str | None) -> Settings:
    """Settings of a host of the user's hosts file; the defaults where there is none.

    + name: of the host; None takes the first one

    The environment's settings win, as in every run. Raises :class:`FailedError` for a file that
    cannot be used, and for a host that is not in it.
    """
    try:
        named = named_file(os.environ)
        path = named or HOSTS
        overrides = environment_settings(os.environ)
        if named is None and not path.is_file():
            if name is not None:
                raise _no_host(name, path, ())
            return load_settings(overrides)
        hosts = {host.name: host.data for host in read_hosts_file(path, overrides)}
        if name is not None and name not in hosts:
            raise _no_host(name, path, tuple(hosts))
        data = hosts[name] if name is not None else next(iter(hosts.values()), overrides)
        return load_settings(data)
    except SettingsError as error:
        raise FailedError.of(refusal([str(problem) for problem in error.problems])) from None


def with_settings(
    options: dict[str, Any], settings: Settings, several: Sequence[str] = ()
) -> dict[str, Any]:
    """Options, the settings' values where one was not given.

    + several: options that take several values
    """
    vllm = settings.vllm
    values: dict[str, Any] = {
        "model": settings.model.planned_as or settings.model.source,
        "utilization": vllm.gpu_memory_utilization,
        "max_num_seqs": vllm.max_num_seqs,
        "max_num_batched_tokens": vllm.max_num_batched_tokens,
        "kv_cache_dtype": "auto" if vllm.kv_cache_dtype == "auto" else "fp8",
        "max_pixels": vllm.max_pixels,
        "count": vllm.tensor_parallel_size,
    }
    # The reference run's default gives way to a model that takes less; what was set does not.
    if "max_model_len" in vllm.model_fields_set:
        values["max_model_len"] = vllm.max_model_len
    values |= {key: [value] for key, value in values.items() if key in several}
    return {
        key: values[key] if value is None and key in values else value
        for key, value in options.items()
    }


def looked_up(model: str | None, settings: Settings) -> dict[str, Any]:
    """Where a model that is not on this machine is looked up: ``hub`` and ``revision``.

    + model: as it was given; None for the host's own, whose revision the settings name
    """
    is_own = model is None and settings.model.planned_as is None
    return {"hub": planning_hub(settings), "revision": settings.model.revision if is_own else None}


def _no_host(name: str, path: Path, known: tuple[str, ...]) -> FailedError:
    return FailedError(
        Fault.HOST_UNKNOWN,
        f"--host {name}: there is no such host in {path}",
        (f"hosts: {', '.join(known) or 'none'}",),
        Do(f"--host {known[0]}" if known else "rocminfra init my-hosts"),
    )
