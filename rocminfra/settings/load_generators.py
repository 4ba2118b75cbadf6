"""Whether hosts name each other as load generators in a way that can work."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from rocminfra.settings.problems import Problem

KEY = "bench.load_generator"


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
    return None
