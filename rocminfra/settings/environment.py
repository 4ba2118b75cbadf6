"""Settings from environment variables: ``ROCMINFRA_<SECTION>__<KEY>=value``.

``ROCMINFRA_VLLM__MAX_NUM_SEQS=32`` is ``vllm.max_num_seqs: 32``. Values are read as
in a hosts file (:mod:`.typed_text`), ``[lists]`` included. A variable that nobody knows is refused:
a misspelt one would otherwise be a run with the wrong settings.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from rocminfra.settings import SECTIONS, nearest_key
from rocminfra.settings.load import wanted_of
from rocminfra.settings.located_yaml import read_value
from rocminfra.settings.problems import Problem, SettingsError

PREFIX = "ROCMINFRA_"
HOSTS = "ROCMINFRA_HOSTS"
HOSTS_FILE = "ROCMINFRA_HOSTS_FILE"
CONNECTOR = "ROCMINFRA_CONNECTOR"

# Variables that say something else than a host's settings.
_OWN = (HOSTS, HOSTS_FILE, CONNECTOR)

# Read elsewhere, so nothing of ours to judge: the practice droplet, the engine simulator, and how
# the cloud is asked.
FOREIGN_PREFIXES = ("ROCMINFRA_LAB_", "ROCMINFRA_SIM_", "ROCMINFRA_DROPLET_")


def variable(key: str) -> str:
    """Name of the variable that sets the dotted ``key``."""
    return PREFIX + key.replace(".", "__").upper()


def known_variables() -> dict[str, str]:
    """Every variable that sets a key, with its dotted key."""
    return {
        variable(f"{section}.{field}"): f"{section}.{field}"
        for section, cls in SECTIONS.items()
        for field in cls.model_fields
    }


def environment_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    """Dotted keys and values that the environment sets.

    + environ: usually ``os.environ``

    Raises :class:`SettingsError` with every variable that is unknown or no YAML. Whether the
    values fit is for :func:`rocminfra.settings.load_settings` to say.
    """
    known = known_variables()
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in _OWN:
            continue
        if name.startswith(FOREIGN_PREFIXES):
            continue
        if name == "ROCMINFRA_WIPE":
            what = "a wipe token is given for one run: --wipe TOKEN"
            problems.append(Problem("", what, where=f"environment: {name}"))
            continue
        if name not in known:
            hint = _nearest_variable(name, known)
            problems.append(Problem(name, "unknown variable", hint, where="environment"))
            continue
        try:
            found[known[name]] = read_value(environ[name], wanted_of(known[name]))
        except ValueError as error:
            problems.append(
                Problem(name, f"is not a valid YAML value: {error}", where="environment")
            )
    if problems:
        raise SettingsError(problems)
    return found


def _nearest_variable(name: str, known: Mapping[str, str]) -> str | None:
    close = difflib.get_close_matches(name, [*known, *_OWN], n=1, cutoff=0.75)
    if close:
        return close[0]
    key = nearest_key(name.removeprefix(PREFIX).lower().replace("__", "."))
    return variable(key) if key is not None and "." in key else None
