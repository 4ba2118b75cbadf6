"""Names that indicate a secret: in data, in an environment, and in an engine's arguments.

Others can read settings, plans, units and command lines, so secrets are kept out of them by name.
Nothing here inspects values.
"""

from __future__ import annotations

import re

# pyinfra's connector data and global arguments that hold a secret.
SECRET_KEYS = ("ssh_password", "ssh_key_password", "_sudo_password", "_su_password")

# Refused as a variable of the engine: it would be in the unit's environment file, in plans and in
# the drift label's hash.
_REFUSED_VARIABLE = re.compile(r"(^|_)TOKEN$|(^|_)API_?KEY$|PASSWORD|PASSPHRASE|SECRET", re.I)
# Masked: more than what is refused, because a key is not always a secret.
_MASKED_VARIABLE = re.compile(rf"{_REFUSED_VARIABLE.pattern}|(^|_)KEY$|CREDENTIAL", re.I)

# `vllm serve` options with a secret value, each with the shortest abbreviation that Python's
# argparse accepts (--api-server-count and --hf-config-path are different options).
_SECRET_FLAGS = (("--api-key", "--api-k"), ("--hf-token", "--hf-t"))

# User information of a URL: https://user:password@host/.
_URL_LOGIN = re.compile(r"(?<=://)[^/@\s\"']+@")
MASKED_VALUE = "…"


def is_refused_variable(name: str) -> bool:
    """Whether an environment variable of this name would hold a secret."""
    return _REFUSED_VARIABLE.search(name) is not None


def is_masked_variable(name: str) -> bool:
    """Whether to mask the value of an environment variable of this name."""
    return _MASKED_VARIABLE.search(name) is not None


def secret_flag(argument: str) -> str | None:
    """The option of ``vllm serve`` in ``argument``, if its value is a secret.

    + argument: one argument, with or without ``=value``; vLLM accepts ``_`` for ``-``
    """
    words = re.split(r"[=\s]", argument.strip(), maxsplit=1)
    option = words[0].replace("_", "-")
    for flag, shortest in _SECRET_FLAGS:
        if option.startswith(shortest) and flag.startswith(option):
            return flag
    return None


def shown_item(item: str) -> str:
    """A ``--data KEY=VALUE`` item that is safe to repeat on a command line: without secrets."""
    key, separator, value = item.partition("=")
    if not separator:
        return item
    if key.startswith("engine.environment") or _is_secret_key(key):
        return f"{key}={MASKED_VALUE}"
    return f"{key}={_URL_LOGIN.sub(f'{MASKED_VALUE}@', value)}"


def _is_secret_key(key: str) -> bool:
    if key == "ssh_key":  # a path
        return False
    # paramiko's other arguments may include a password.
    return key == "ssh_paramiko_connect_kwargs" or is_masked_variable(key.rsplit(".", 1)[-1])
