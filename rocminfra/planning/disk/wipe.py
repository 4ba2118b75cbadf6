"""Wipe tokens: the only permission to destroy data.

A token is ``HOST:DISK:IDENTITY``: the host's name in the inventory, the disk's by-id path (or its
device path), and its WWN or serial, else its PCI path and size. It fits one disk of one host, and
the operator has read all three in a refusal before being able to pass it.
"""

from __future__ import annotations

from rocminfra.planning.disk.observation import Device


def tokens(host: str, device: Device) -> tuple[str, ...]:
    """Every token that permits wiping ``device`` on ``host``; the first is the one to show."""
    return tuple(f"{host}:{path}:{device.identity}" for path in (*device.by_id, device.path))


def permits(given: tuple[str, ...], host: str, device: Device) -> str | None:
    """The given token that permits wiping ``device`` on ``host``, or None."""
    valid = tokens(host, device)
    return next((token for token in given if token in valid), None)


def unused(given: tuple[str, ...], host: str, device: Device) -> tuple[str, ...]:
    """What to say of a token for a disk that holds the scratch file system already."""
    token = permits(given, host, device)
    if token is None:
        return ()
    return (f"wipe token {token} is not used: {device.path} holds the scratch file system",)


def mismatches(given: tuple[str, ...], host: str, device: Device) -> tuple[str, ...]:
    """Why none of the given tokens fits, one text each."""
    return tuple(_mismatch(token, host, device) for token in given)


def _mismatch(token: str, host: str, device: Device) -> str:
    if not token.startswith(f"{host}:"):
        return f"wipe token {token!r} is for another host than {host}"
    rest = token.removeprefix(f"{host}:")
    for path in (*device.by_id, device.path):
        if rest.startswith(f"{path}:"):
            return (
                f"wipe token {token!r} is for another disk at {path}: "
                f"this one identifies itself as {device.identity}"
            )
    return f"wipe token {token!r} is for another disk of {host} than {device.path}"
