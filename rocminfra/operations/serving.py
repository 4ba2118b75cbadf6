"""Which engine has answered in a run, for whoever says how to reach it."""

from __future__ import annotations

from pyinfra.api.host import Host

from rocminfra.planning.serving import Served

_KEY = "rocminfra.served"


def answered(host: Host, served: Served) -> None:
    """The engine of ``host`` has given a completion in this run."""
    host.connector_data[_KEY] = served


def served(host: Host) -> Served | None:
    """What :func:`answered` was told last, or None."""
    found: Served | None = host.connector_data.get(_KEY)
    return found
