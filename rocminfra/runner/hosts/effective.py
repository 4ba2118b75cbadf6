"""The settings that a host has, and where each comes from. Nothing is connected to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyinfra.api.host import Host

from rocminfra.failure import FailedError
from rocminfra.inventory.hosts_file import FILE
from rocminfra.inventory.sources import HOSTS_FILE_NAME, named_file
from rocminfra.settings.connection_keys import CONNECTION_KEYS
from rocminfra.settings.environment import HOSTS, environment_settings, variable
from rocminfra.settings.load import known_keys, load_settings
from rocminfra.settings.located_yaml import Located, read_yaml
from rocminfra.settings.problems import SettingsError, refusal
from rocminfra.settings.secret_names import (
    MASKED_VALUE,
    SECRET_KEYS,
    is_masked_variable,
    shown_item,
)

DEFAULT = "default"


@dataclass(frozen=True)
class Effective:
    """One setting of a host.

    + key: dotted, or one of the connection's
    + value: as it is used; what may be a secret is masked
    + origin: ``default``; ``hosts.yaml:12``; ``ROCMINFRA_VLLM__MAX_NUM_SEQS``; ``--data``; or the
      inventory
    """

    key: str
    value: Any
    origin: str


@dataclass(frozen=True)
class Sources:
    """Where values may come from.

    + data: what ``--data`` says, by key
    + environ: what variables say, by dotted key
    + hosts_file: the hosts file with the lines of its keys, if the inventory reads one
    + inventory: its name, for what only itself can say
    """

    data: Mapping[str, Any]
    environ: Mapping[str, Any]
    hosts_file: Located | None
    inventory: str


def sources_of(inventory: str, data: Mapping[str, Any], environ: Mapping[str, str]) -> Sources:
    """The sources of an inventory.

    + inventory: as ``-i`` names it
    + data: what ``--data`` says, by key
    + environ: usually ``os.environ``

    Raises :class:`FailedError` as reading the inventory itself would.
    """
    try:
        said = environment_settings(environ)
        hosts_file = _hosts_file(inventory, environ)
    except SettingsError as error:
        raise FailedError.of(refusal([str(problem) for problem in error.problems])) from None
    return Sources(data, said, hosts_file, f"inventory {inventory}")


def effective(host: Host, sources: Sources) -> tuple[Effective, ...]:
    """Every setting of a host, and the keys of its connection that something sets."""
    data: dict[str, Any] = host.data.dict()  # type: ignore[no-untyped-call]
    settings = load_settings(data).model_dump()
    found = []
    for key in sorted(CONNECTION_KEYS.keys() & data.keys()):
        found.append(Effective(key, _shown(key, data[key]), _origin(key, data, host.name, sources)))
    for key in known_keys():
        if key == "wipe":
            continue
        section, leaf = key.split(".", 1)
        value = _shown(key, settings[section][leaf])
        found.append(Effective(key, value, _origin(key, data, host.name, sources)))
    return tuple(found)


def _origin(key: str, data: Mapping[str, Any], host: str, sources: Sources) -> str:
    section, _, leaf = key.partition(".")
    if key in sources.data:
        return "--data"
    if key in sources.environ and key in data:
        return variable(key)
    own = data.get(section)
    is_given = key in data if not leaf else isinstance(own, Mapping) and leaf in own
    if not is_given and key not in data:
        return DEFAULT
    if sources.hosts_file is not None:
        path = (section, leaf) if leaf else (section,)
        for top in (("hosts", host), ("defaults",)):
            if (*top, *path) in sources.hosts_file.lines:
                return sources.hosts_file.where(*top, *path)
    return sources.inventory


def _shown(key: str, value: Any) -> Any:
    """A value without what may be a secret."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if key in SECRET_KEYS:
        return MASKED_VALUE
    if isinstance(value, Mapping):
        return {
            name: MASKED_VALUE if is_masked_variable(str(name)) else _shown("", one)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_shown(key, one) for one in value]
    return shown_item(f"{key}={value}").partition("=")[2]


def _hosts_file(inventory: str, environ: Mapping[str, str]) -> Located | None:
    if environ.get(HOSTS, "").strip():
        return None
    path = named_file(environ) or Path(inventory).parent / HOSTS_FILE_NAME
    if not Path(inventory).is_file() or not path.is_file():
        return None
    relative = os.path.relpath(path)
    return read_yaml(path if relative.startswith("..") else Path(relative), FILE)
