"""Much data from a host, by a process of OpenSSH's `ssh` next to the connection that is open.

paramiko decrypts in Python, at a fraction of what `ssh` does. It is used only where it can be told
to reach the same server as the same user without a question, and whoever calls takes the open
connection when it does not get through.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from paramiko import Transport
from pyinfra.connectors.ssh import SSHConnector

from rocminfra.bench.remote import CommandFailedError
from rocminfra.host_answers import BEGIN

# Below this the open connection is done before another one stands.
WORTH_BYTES = 8 << 20
_CONNECT_S = 10
# The connection, and the login shell until our command begins.
_BEGIN_S = 20.0
_BLOCK = 1 << 20
# OpenSSH's own (ssh_config(5)), with those first that processors have instructions for. Not written
# as a change to its list, which versions before 8.1 do not know.
_CIPHERS = (
    "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,"
    "aes128-ctr,aes192-ctr,aes256-ctr"
)
_MOST_CHATTER = 1 << 20
# `ssh` ends with it for its own failures.
_SSH_FAILED = 255
# Become part of the command line, which everybody on this machine can read.
_SECRET = ("_sudo_password", "_use_sudo_password", "_env")


def command_line(connector: SSHConnector, arguments: Mapping[str, Any]) -> list[str] | None:
    """`ssh` and its options up to the host, without any file that says whom to trust.

    + connector: with an open connection
    + arguments: of the connector, such as sudo

    None where `ssh` could not be told all that the connection was told: a password, an encrypted
    key, a jump host.
    """
    transport = connector.client.get_transport() if connector.client is not None else None
    ssh = shutil.which("ssh")
    if transport is None or ssh is None or any(arguments.get(name) for name in _SECRET):
        return None
    data = connector.data
    # Of a jump host it is a channel or a process.
    peer = transport.sock
    is_direct = isinstance(peer, socket.socket) and peer.family in (
        socket.AF_INET,
        socket.AF_INET6,
    )
    has_own_words = data["ssh_password"] or data["ssh_key_password"] or data["ssh_config_file"]
    if not is_direct or has_own_words or data["ssh_paramiko_connect_kwargs"]:
        return None
    name: Any = peer.getpeername()
    address, port = str(name[0]), int(name[1])
    options = {
        "BatchMode": "yes",
        "Ciphers": _CIPHERS,
        "ClearAllForwardings": "yes",
        "ConnectTimeout": str(_CONNECT_S),
        "ForwardAgent": "no",
        "LogLevel": "ERROR",
        "PreferredAuthentications": "publickey",
        "RequestTTY": "no",
        "ServerAliveInterval": "15",
        "UpdateHostKeys": "no",
        "User": transport.get_username(),
        "Port": str(port),
    }
    keys = _keys(data)
    if keys is None:
        return None
    words = [f"{name}={value}" for name, value in options.items()] + keys
    return [ssh, "-F", "none", *(f"-o{word}" for word in words), address]


@contextmanager
def stream(
    transport: Transport, line: list[str], command: str, stdin: bytes, stall_s: float
) -> Iterator[ProcessReader | None]:
    """What a command on the host prints after our mark; None when `ssh` does not get that far.

    + transport: the open connection, whose server this one has to be
    + line: of :func:`command_line`
    + command: prints our mark first
    + stdin: what it reads
    + stall_s: a host that gives no byte for so long is gone
    """
    with tempfile.TemporaryDirectory() as folder:
        known_hosts = Path(folder) / "known_hosts"
        key = transport.get_remote_server_key()
        known_hosts.write_text(f"host {key.get_name()} {key.get_base64()}\n")
        pinned = {
            "HostKeyAlias": "host",
            "CheckHostIP": "no",
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(known_hosts),
        }
        options = [f"-o{name}={value}" for name, value in pinned.items()]
        with (
            (Path(folder) / "input").open("w+b") as words,
            (Path(folder) / "errors").open("w+b") as errors,
        ):
            words.write(stdin)
            words.seek(0)
            process = subprocess.Popen(
                [line[0], *options, *line[1:], command],
                stdin=words,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                # No terminal to ask at, and no Ctrl-C of its own.
                start_new_session=True,
            )
            try:
                reader = ProcessReader(process, errors, stall_s)
                yield reader if reader.begins() else None
            finally:
                process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()


class ProcessReader:
    """Reads what stands after our mark in what a process prints.

    + process: its output is a pipe
    + errors: takes its standard error
    + stall_s: longest without a byte
    """

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes], stall_s: float) -> None:
        self._process = process
        self._errors = errors
        self._stall_s = stall_s
        self._buffer = b""
        assert process.stdout is not None
        self._output = process.stdout.fileno()
        with suppress(ImportError, AttributeError, OSError):
            import fcntl

            # Linux; a pipe holds 64 KiB otherwise, and each filling is a switch of processes.
            fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, _BLOCK)

    def begins(self) -> bool:
        """Whether our mark comes."""
        mark = f"\n{BEGIN}\n".encode()
        deadline = time.monotonic() + _BEGIN_S
        buffer = b""
        while mark not in buffer and len(buffer) <= _MOST_CHATTER:
            piece = self._piece(_BLOCK, max(0.0, deadline - time.monotonic()))
            if not piece:
                return False
            buffer += piece
        self._buffer = buffer.partition(mark)[2]
        return mark in buffer

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        if self._buffer:
            part, self._buffer = self._buffer[:size], self._buffer[size:]
            return part
        piece = self._piece(size, self._stall_s)
        if piece:
            return piece
        if piece is None:
            raise TimeoutError(f"the host has sent nothing for {self._stall_s:.0f} s")
        status = self._process.wait()
        if status in (0, None):
            return b""
        self._errors.seek(0)
        said = self._errors.read(4096).decode("utf-8", "replace").strip()
        if status < 0 or status == _SSH_FAILED:
            raise ConnectionResetError(said or "the connection was lost")
        raise CommandFailedError(said or f"exit code {status}")

    def _piece(self, size: int, seconds: float) -> bytes | None:
        """What there is; nothing at the end, None when the time is over."""
        # gevent waits here and lets others work, which it cannot in a read.
        if not select.select([self._output], [], [], seconds)[0]:
            return None
        return os.read(self._output, size)


def _keys(data: Mapping[str, Any]) -> list[str] | None:
    """Options that say which keys may be used; None where the key is not found."""
    named = data["ssh_key"]
    if named:
        path = Path(named).expanduser().absolute()
        own = ["IdentitiesOnly=yes", "IdentityAgent=none", f'IdentityFile="{path}"']
        return own if path.is_file() else None
    own = [] if data["ssh_allow_agent"] else ["IdentityAgent=none"]
    return own + ([] if data["ssh_look_for_keys"] else ["IdentityFile=none"])
