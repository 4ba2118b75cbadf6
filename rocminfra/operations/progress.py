"""How far a command on a host is, for whoever shows it; plain pyinfra shows nothing."""

from __future__ import annotations

from typing import Protocol

from pyinfra.api.host import Host

_KEY = "rocminfra.progress"


class Listener(Protocol):
    """Hears how far the operation at work on a host is."""

    def update(
        self,
        *,
        done_bytes: int | None = None,
        total_bytes: int | None = None,
        note: str | None = None,
        expected_s: float | None = None,
    ) -> None: ...


def listen(host: Host, listener: Listener | None) -> None:
    """Have ``listener`` hear of the operation that begins on ``host`` now; None ends it."""
    host.connector_data[_KEY] = listener


def is_heard(host: Host) -> bool:
    """Whether anybody listens; without, an operation says every ten seconds that it still runs."""
    return host.connector_data.get(_KEY) is not None


def tell(
    host: Host,
    *,
    done_bytes: int | None = None,
    total_bytes: int | None = None,
    note: str | None = None,
    expected_s: float | None = None,
) -> None:
    """Say how far the operation at work on ``host`` is; for commands that wait on this side."""
    listener: Listener | None = host.connector_data.get(_KEY)
    if listener is not None:
        listener.update(
            done_bytes=done_bytes, total_bytes=total_bytes, note=note, expected_s=expected_s
        )
