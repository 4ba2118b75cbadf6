"""Keys of a host that say how it is reached: names and meaning are pyinfra's.

Passwords are left out on purpose: secrets belong in no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.settings.addresses import address, login_name
from rocminfra.settings.local_paths import absolute
from rocminfra.settings.problems import in_words
from rocminfra.settings.wanted import Wanted, scalar

CONNECTION_KEYS: dict[str, type] = {
    "ssh_hostname": str,
    "ssh_port": int,
    "ssh_user": str,
    "ssh_key": str,
    "ssh_config_file": str,
    "ssh_known_hosts_file": str,
    "ssh_strict_host_key_checking": str,
    "ssh_allow_agent": bool,
    "ssh_look_for_keys": bool,
    "ssh_forward_agent": bool,
    "ssh_connect_retries": int,
    "ssh_file_transfer_protocol": str,
    "_sudo": bool,
}

WANTED: Mapping[str, Wanted] = {
    **{key: scalar(kind) for key, kind in CONNECTION_KEYS.items()},
    "rocminfra_connector": scalar(str),
}

_CHOICES = {
    "ssh_strict_host_key_checking": ("yes", "no", "accept-new", "off", "ask"),
    "ssh_file_transfer_protocol": ("sftp", "scp"),
}
# Paths on this machine; the first two name files that must be there. pyinfra passes over a
# configuration that is not.
_FILES = ("ssh_config_file", "ssh_key")
_PATHS = (*_FILES, "ssh_known_hosts_file")
_MOST_RETRIES = 1_000
_TYPE_WORDS = {str: "a text", int: "a whole number", bool: "true or false"}


def connection_problem(key: str, value: Any) -> str | None:
    """What is wrong with the value of a connection key, or None."""
    wrong = type_problem(key, value)
    if wrong is not None:
        return wrong
    if isinstance(value, str):
        return _text_problem(key, value)
    if isinstance(value, int) and key == "ssh_port" and not 1 <= value <= 65535:
        return f"must be a port from 1 to 65535, not {value}"
    if isinstance(value, int) and key == "ssh_connect_retries" and value < 0:
        return f"must not be negative, not {value}"
    if isinstance(value, int) and key == "ssh_connect_retries" and value > _MOST_RETRIES:
        return f"must be {_MOST_RETRIES} at the most, not {value}"
    return None


def type_problem(key: str, value: Any) -> str | None:
    """As :func:`connection_problem`, for the value's type alone."""
    kind = CONNECTION_KEYS[key]
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        return f"must be {_TYPE_WORDS[kind]}, not {in_words(value)}"
    return None


def local_paths_resolved(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data with the paths of its connection written out from the root on.

    pyinfra would begin some of them in the playbook's folder, and does not know ``~`` everywhere.
    Values that are none are left as they are.
    """
    resolved = dict(data)
    for key in _PATHS:
        value = resolved.get(key)
        if isinstance(value, str) and _text_problem(key, value) is None:
            resolved[key] = absolute(value)
    return resolved


def _text_problem(key: str, value: str) -> str | None:
    if not value.strip():
        return "must not be empty"
    choices = _CHOICES.get(key)
    if choices is not None and value not in choices:
        return f'must be {", ".join(choices[:-1])} or {choices[-1]}, not "{value}"'
    try:
        if key == "ssh_hostname":
            address(value)
        if key == "ssh_user":
            login_name(value)
        path = absolute(value) if key in _PATHS else None
    except ValueError as error:
        return str(error)
    if path is None:
        return None
    if key in _FILES and not Path(path).is_file():
        return f"there is no file {path}"
    if key == "ssh_known_hosts_file" and not Path(path).parent.is_dir():
        return f"there is no folder {Path(path).parent}"
    return None
