"""Names that mean a secret: in data, in an environment, and among an engine's arguments.

Settings, plans, units and command lines are read by others, so secrets are kept out of them by
name. Nothing here looks at values.
"""

from __future__ import annotations

import re

# pyinfra's connector data and global arguments that hold a secret.
SECRET_KEYS = ("ssh_password", "ssh_key_password", "_sudo_password", "_su_password")

# What is refused as a variable of the engine: it would stand in the unit's environment file, in
# plans and in the drift label's hash.
_REFUSED_VARIABLE = re.compile(r"(^|_)TOKEN$|(^|_)API_?KEY$|PASSWORD|PASSPHRASE|SECRET", re.I)
# What is masked: more than is refused, because a key may also be one that is no secret.
_MASKED_VARIABLE = re.compile(rf"{_REFUSED_VARIABLE.pattern}|(^|_)KEY$|CREDENTIAL", re.I)

# `vllm serve` options whose value is a secret, with the shortest abbreviation that Python's
# argparse takes for each (--api-server-count and --hf-config-path are others).
_SECRET_FLAGS = (("--api-key", "--api-k"), ("--hf-token", "--hf-t"))

# User information of a URL: https://user:password@host/.
_URL_LOGIN = re.compile(r"(?<=://)[^/@\s\"']+@")
MASKED_VALUE = "…"


def is_refused_variable(name: str) -> bool:
    """Whether an environment variable of this name would hold a secret."""
    return _REFUSED_VARIABLE.search(name) is not None


def is_masked_variable(name: str) -> bool:
    """Whether the value of an environment variable of this name is not shown."""
    return _MASKED_VARIABLE.search(name) is not None


def secret_flag(argument: str) -> str | None:
    """The option of ``vllm serve`` that ``argument`` is, when its value is a secret.

    + argument: one argument, with or without ``=value``; vLLM takes ``_`` for ``-``
    """
    words = re.split(r"[=\s]", argument.strip(), maxsplit=1)
    option = words[0].replace("_", "-")
    for flag, shortest in _SECRET_FLAGS:
        if option.startswith(shortest) and flag.startswith(option):
            return flag
    return None


def shown_item(item: str) -> str:
    """A ``--data KEY=VALUE`` item as a command line may repeat it: without what is secret."""
    key, separator, value = item.partition("=")
    if not separator:
        return item
    if key.startswith("engine.environment") or _is_secret_key(key):
        return f"{key}={MASKED_VALUE}"
    return f"{key}={_URL_LOGIN.sub(f'{MASKED_VALUE}@', value)}"


def _is_secret_key(key: str) -> bool:
    if key == "ssh_key":  # a path
        return False
    # What paramiko is told besides may be a password.
    return key == "ssh_paramiko_connect_kwargs" or is_masked_variable(key.rsplit(".", 1)[-1])
