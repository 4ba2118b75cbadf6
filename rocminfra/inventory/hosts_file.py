"""Hosts and their settings from a YAML file (``inventory/hosts.example.yaml``).

::

    defaults:                       # settings for all hosts
      vllm: {max_num_seqs: 64}
    hosts:
      mi300x-1:
        ssh_hostname: 203.0.113.10
        vllm: {max_num_seqs: 32}    # this host only; merged key by key

Everything is checked here, before anything connects, and every problem names file, line, key and
the nearest known key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rocminfra.inventory.ssh_config import (
    DEFAULT_FILE,
    NotAcceptedError,
    configured_user,
    plain_file,
)
from rocminfra.settings import SECTIONS, Settings, load_settings
from rocminfra.settings.addresses import host_name
from rocminfra.settings.connection_keys import (
    CONNECTION_KEYS,
    WANTED,
    connection_problem,
    local_paths_resolved,
)
from rocminfra.settings.environment import variable
from rocminfra.settings.located_yaml import Located, read_yaml
from rocminfra.settings.problems import Problem, SettingsError, kind_of
from rocminfra.settings.secret_names import SECRET_KEYS
from rocminfra.settings.wanted import Wanted, wanted

DEFAULT_USER = "root"

_HOST = Wanted(keys={**wanted(Settings).keys, **WANTED})
# What the keys of a hosts file take.
FILE = Wanted(keys={"defaults": _HOST, "hosts": Wanted(values=_HOST)})

_HOST_NAME = re.compile(r"^[^\s,/:]+$|^@[^\s,]+$")


@dataclass(frozen=True)
class InventoryHost:
    """A host as pyinfra's inventory takes it.

    + name: what ``--limit`` and messages call it
    + data: connection keys, sections and dotted settings
    """

    name: str
    data: dict[str, Any]


def read_hosts_file(path: Path, overrides: Mapping[str, Any] | None = None) -> list[InventoryHost]:
    """Read and check a hosts file.

    + path: the file
    + overrides: dotted settings that win over the file's, such as those of the environment

    Raises :class:`SettingsError` with every problem found.
    """
    return hosts_from(read_yaml(path, FILE), overrides or {})


def hosts_from(located: Located, overrides: Mapping[str, Any]) -> list[InventoryHost]:
    """The hosts of a YAML file that has been read; see :func:`read_hosts_file`."""
    problems = _top_level_problems(located)
    defaults = _mapping(located.data.get("defaults"))
    hosts = _mapping(located.data.get("hosts"))
    problems.extend(_connection_problems(located, ("defaults",), defaults))
    result = []
    for name, own in hosts.items():
        path = ("hosts", name)
        if own is not None and not isinstance(own, dict):
            what = f"must be keys with values, not {kind_of(own)}"
            problems.append(Problem(".".join(path), what, where=located.where(*path)))
            continue
        if not _HOST_NAME.match(name):
            what = "a host's name has no spaces, commas, slashes or colons"
            problems.append(Problem(".".join(path), what, where=located.where(*path)))
            continue
        own = own or {}
        wrong_name = _name_problem(name, {**defaults, **own})
        if wrong_name is not None:
            problems.append(Problem(".".join(path), wrong_name, where=located.where(*path)))
            continue
        problems.extend(_connection_problems(located, path, own))
        try:
            data = host_data(name, _merged(defaults, own), overrides)
        except SettingsError as error:
            where = located.where(*path, "ssh_config_file")
            problems.extend(replace(problem, where=where) for problem in error.problems)
            continue
        problems.extend(_settings_problems(located, name, data, overrides))
        result.append(InventoryHost(name, data))
    if not hosts:
        problems.extend(_settings_problems(located, None, {**defaults, **overrides}, overrides))
    if problems:
        # A mistake in the defaults would otherwise be said once for every host.
        raise SettingsError(list(dict.fromkeys(problems)))
    return result


def host_data(name: str, own: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """pyinfra's data for a host: who logs in, whether with sudo, and the settings.

    Without ``ssh_user`` it is the one of the operator's ssh configuration, and without that root,
    which is what AMD's images offer. Any other user means sudo, unless ``_sudo`` says otherwise.
    A host of another connector (``@local``) logs in nowhere.
    """
    data = {**local_paths_resolved(own), **overrides}
    if name.startswith("@") and not name.startswith("@ssh/"):
        return data
    address = str(data.get("ssh_hostname", name.removeprefix("@ssh/")))
    plain = _plain_configuration(address, data)
    if plain is not None:
        data["ssh_config_file"] = plain
    if "ssh_user" not in data:
        data["ssh_user"] = _configured_user(address, data) or DEFAULT_USER
    user = data["ssh_user"]
    if user != "root":
        data.setdefault("_sudo", True)
    return data


def _plain_configuration(address: str, data: Mapping[str, Any]) -> str | None:
    config_file = data.get("ssh_config_file")
    try:
        return plain_file(address, config_file if isinstance(config_file, str) else None)
    except NotAcceptedError as error:
        named = config_file or DEFAULT_FILE
        what = f"ssh does not accept {named} for {address}: {error}"
        raise SettingsError([Problem("ssh_config_file", what)]) from None


def _configured_user(address: str, data: Mapping[str, Any]) -> str | None:
    config_file = data.get("ssh_config_file")
    return configured_user(address, config_file if isinstance(config_file, str) else None)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = {
        key: dict(value) if key in SECTIONS and isinstance(value, dict) else value
        for key, value in defaults.items()
    }
    for key, value in own.items():
        if key in SECTIONS and isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = value
    return merged


def _top_level_problems(located: Located) -> list[Problem]:
    problems = []
    for key, value in located.data.items():
        if key not in ("defaults", "hosts"):
            hint = next(iter(difflib.get_close_matches(key, ("defaults", "hosts"), n=1)), None)
            what = "unknown key; a hosts file has 'defaults:' and 'hosts:'"
            problems.append(Problem(key, what, hint, located.where(key)))
        elif value is not None and not isinstance(value, dict):
            what = f"must be keys with values, not {kind_of(value)}"
            problems.append(Problem(key, what, where=located.where(key)))
    if not _mapping(located.data.get("hosts")):
        what = "lists no hosts; write a host's name under 'hosts:', such as 'mi300x-1:'"
        problems.append(Problem("hosts", what, where=located.where("hosts")))
    return problems


def _connection_problems(
    located: Located, path: tuple[str, ...], own: Mapping[str, Any]
) -> list[Problem]:
    problems = []

    def add(key: str, what: str, hint: str | None = None) -> None:
        problems.append(Problem(".".join((*path, key)), what, hint, located.where(*path, key)))

    for key, value in own.items():
        if key in SECRET_KEYS:
            add(key, "secrets belong in no file; log in with a key (ssh_key) or an SSH agent")
        elif key == "wipe" and value not in (None, []):
            add(key, "a wipe token is given for one run and kept in no file: --wipe TOKEN")
        elif key == "ssh_hostname" and path == ("defaults",):
            add(key, "is one host's own; write it below the host")
        elif key in CONNECTION_KEYS:
            what = connection_problem(key, value)
            if what is not None:
                add(key, what)
        elif "." in key:
            section, leaf = key.split(".", 1)
            add(key, f"here sections are nested: '{section}:' and below it '{leaf}:'")
        elif key.startswith(("ssh_", "_")):
            add(key, "unknown key", _nearest_connection_key(key))
    return problems


def _name_problem(name: str, data: Mapping[str, Any]) -> str | None:
    """What is wrong with a host's name that nothing else says the address of."""
    if name.startswith("@") or "ssh_hostname" in data:
        return None
    try:
        host_name(name)
    except ValueError as error:
        return f"{error}; its address may be another key, ssh_hostname"
    return None


def _nearest_connection_key(key: str) -> str | None:
    return next(iter(difflib.get_close_matches(key, CONNECTION_KEYS, n=1, cutoff=0.6)), None)


def _settings_problems(
    located: Located, name: str | None, data: Mapping[str, Any], overrides: Mapping[str, Any]
) -> list[Problem]:
    """What :func:`load_settings` says about a host's data, each with the line it comes from."""
    judged = {
        key: value
        for key, value in data.items()
        # The others have been judged above, with better words.
        if key in overrides or not ("." in key or key == "wipe" or key.startswith(("ssh_", "_")))
    }
    try:
        load_settings(judged)
    except SettingsError as error:
        return [_placed(located, name, problem, overrides) for problem in error.problems]
    return []


def _placed(
    located: Located, name: str | None, problem: Problem, overrides: Mapping[str, Any]
) -> Problem:
    keys = _keys_of(problem)
    for key in keys:
        if key in overrides:
            return replace(problem, where=f"environment: {variable(key)}")
    tops: list[tuple[str, ...]] = (
        [("defaults",)] if name is None else [("hosts", name), ("defaults",)]
    )
    for top in tops:
        for key in keys:
            path = (*top, *key.split(".", 1))
            if path in located.lines:
                return replace(problem, where=located.where(*path))
    return replace(problem, where=located.where(*tops[0], problem.key))


def _keys_of(problem: Problem) -> list[str]:
    """The keys that a problem is about, as they may stand in the file."""
    keys = [problem.key] if "." in problem.key else []
    return list(dict.fromkeys([*keys, *problem.keys, *filter(None, [problem.key])]))
