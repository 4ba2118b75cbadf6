"""Whether hosts name each other as load generators in a way that can work."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from rocminfra.settings.load import load_pyinfra_settings
from rocminfra.settings.problems import Problem, SettingsError

KEY = "bench.load_generator"
_SECTION, _LEAF = KEY.split(".")


def named_by(data: Mapping[str, Any]) -> str | None:
    """The load generator that a host names, even when its other settings cannot be used.

    + data: pyinfra's data of the host

    A host that is named serves no engine, so a typing error elsewhere must not hide its name: the
    playbook would prepare a disk there. Raises :class:`SettingsError` when the name itself may be
    what is wrong.
    """
    try:
        return load_pyinfra_settings(data).bench.load_generator
    except SettingsError as error:
        name = _as_typed(data)
        if name is None and any(map(_may_hide_it, error.problems)):
            raise
        return name


def problem(name: str, wanted: str, named: Mapping[str, str | None]) -> Problem | None:
    """What is wrong with a host's load generator, or None.

    + name: of the host
    + wanted: its ``bench.load_generator``
    + named: the same of every host of the inventory, by name

    A default for all hosts reaches the load generator, too; it then names itself, which is fine as
    long as another host does as well.
    """
    if wanted not in named:
        near = difflib.get_close_matches(wanted, named, n=1, cutoff=0.5)
        what = f"the inventory has no host {wanted!r}; it has {', '.join(named) or 'none'}"
        return Problem(KEY, what, near[0] if near else None)
    others = [one for one, its in named.items() if its == wanted and one != wanted]
    if wanted == name and not others:
        return Problem(KEY, f"{name} is this host itself; leave it out for that")
    further = named[wanted]
    if further not in (None, wanted):
        what = f"{wanted} serves no engine when it sends the load of {name}, and names {further}"
        return Problem(KEY, f"{what}; leave one of the two out")
    return None


def _as_typed(data: Mapping[str, Any]) -> str | None:
    section = data.get(_SECTION)
    value = section.get(_LEAF) if isinstance(section, Mapping) else None
    value = data.get(KEY, value)
    return value if isinstance(value, str) and value.strip() not in ("", "~", "null") else None


def _may_hide_it(problem: Problem) -> bool:
    """Whether the problem may be the reason that no name is seen: the key or section, misspelt."""
    meant = problem.hint or problem.key
    return _SECTION in (problem.key.split(".")[0], meant.split(".")[0])
