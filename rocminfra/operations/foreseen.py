"""What operations would do, kept for whoever shows a plan; plain pyinfra shows none of it."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra.api.host import Host

from rocminfra.planning.foreseen import Foreseen

_KEY = "rocminfra.foreseen"


def listen(host: Host) -> None:
    """Have what is foreseen on ``host`` kept; without it the facts for it are not asked."""
    host.connector_data.setdefault(_KEY, {})


def forget(host: Host) -> None:
    """The plan has been shown; from now on operations do what they would have done."""
    host.connector_data.pop(_KEY, None)


def is_wanted(host: Host) -> bool:
    """Whether a plan is shown, so that a fact that only serves it is worth asking."""
    return _KEY in host.connector_data


def foresee(host: Host, *found: Foreseen) -> None:
    """Keep what the operation that is being prepared would do; outside of one, of the host."""
    known: dict[str | None, list[Foreseen]] | None = host.connector_data.get(_KEY)
    if known is not None:
        known.setdefault(host.current_op_hash, []).extend(found)


def foreseen(host: Host) -> Mapping[str | None, tuple[Foreseen, ...]]:
    """What was kept, by operation; under None what was found out about the host."""
    known: dict[str | None, list[Foreseen]] = host.connector_data.get(_KEY, {})
    return {op_hash: tuple(found) for op_hash, found in known.items()}
