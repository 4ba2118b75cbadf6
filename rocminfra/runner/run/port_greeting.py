"""What a port says that does not speak SSH; paramiko reads it and keeps it to itself."""

from __future__ import annotations

import socket

# sshd greets at once; whoever waits for a word has had ours by then.
SILENCE_S = 2.0
_MOST_BYTES = 256
_TLS_ALERT = b"\x15\x03"


def described(address: str, port: int) -> tuple[str, bool] | None:
    """What listens there, in words, and whether it is surely not sshd.

    + address, port: where it was connected to directly, a moment ago

    None when it greets as SSH does, or cannot be connected to any more.
    """
    try:
        said = _greeting(address, port)
    except OSError:
        return None
    if said is None:
        return (
            "the port is open, and nothing is said there: a firewall or a load balancer that "
            "answers for a machine that is off, or an sshd that is stuck",
            False,
        )
    if said.startswith(b"SSH-"):
        return None
    if not said:
        return (
            "what listens on that port hangs up without a word: an sshd that lets nobody in now "
            "(MaxStartups, PerSourcePenalties, hosts.deny), or a machine that still boots",
            False,
        )
    line = said.decode("utf-8", "replace").splitlines()[0].strip()
    if said.startswith(b"HTTP/"):
        kind = f"HTTP ({line!r})"
    elif said.startswith(_TLS_ALERT):
        kind = "TLS, as HTTPS does"
    else:
        kind = f"another protocol ({line!r})"
    return f"what listens on that port speaks {kind}, and not SSH", True


def _greeting(address: str, port: int) -> bytes | None:
    """Its first bytes, after a greeting of ours; none when it hangs up, None when it is silent.

    Raises :class:`OSError` when it cannot be connected to.
    """
    with socket.create_connection((address, port), SILENCE_S) as connection:
        connection.settimeout(SILENCE_S)
        try:
            connection.sendall(b"SSH-2.0-rocminfra\r\n")
            return connection.recv(_MOST_BYTES)
        except TimeoutError:
            return None
        except (ConnectionResetError, BrokenPipeError):
            return b""
