"""A host without SSH: what paramiko would send to one runs here, in a shell of this machine.

The connector, the batch, the program on the host and pyinfra itself are the real ones; only the
wire is missing.
"""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paramiko.file import BufferedFile
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.host import Host
from pyinfra.context import ctx_state

from rocminfra.connectors.batched_ssh import BatchedSSHConnector


class Wire:
    """What the tests see and change of the connection.

    + execs: every command line that was sent, in order
    + batches: those of them that carried a batch
    + rewrite: changes a command line on its way (a host that lacks something, or talks)
    + tamper: changes what a batch's program answers, piece by piece
    """

    def __init__(self) -> None:
        self.execs: list[str] = []
        self.batches: list[str] = []
        self.uploads: list[str] = []
        self.rewrite: Callable[[str], str] = lambda command: command
        self.tamper: Callable[[bytes], bytes] = lambda data: data

    @property
    def live(self) -> int:
        """Commands that were sent one by one."""
        return len(self.execs) - len(self.batches)


class LocalChannel:
    """The channel of a batch."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._process: subprocess.Popen[bytes] | None = None

    def settimeout(self, seconds: float) -> None:
        pass

    def exec_command(self, command: str) -> None:
        self._wire.execs.append(command)
        self._wire.batches.append(command)
        self._process = subprocess.Popen(
            ["sh", "-c", self._wire.rewrite(command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def recv(self, size: int) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._wire.tamper(os.read(self._process.stdout.fileno(), size))

    def recv_stderr_ready(self) -> bool:
        assert self._process is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stderr, selectors.EVENT_READ)  # type: ignore[arg-type]
            return bool(selector.select(1.0))

    def recv_stderr(self, size: int) -> bytes:
        assert self._process is not None
        assert self._process.stderr is not None
        return os.read(self._process.stderr.fileno(), size)

    def close(self) -> None:
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process.wait(timeout=30)
        self._process = None


class LocalTransport:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def open_session(self, timeout: float | None = None) -> LocalChannel:
        return LocalChannel(self._wire)

    def getpeername(self) -> tuple[str, int]:
        return ("203.0.113.1", 22)


class _Output(BufferedFile):
    def __init__(self, data: bytes, status: int) -> None:
        super().__init__()
        self._data = data
        self._status = status
        self._set_mode("r", -1)

    @property
    def channel(self) -> _Output:
        return self

    def recv_exit_status(self) -> int:
        return self._status

    def _read(self, size: int) -> bytes:
        data, self._data = self._data[:size], self._data[size:]
        return data


class _Input:
    def write(self, data: bytes) -> None:
        raise AssertionError("nothing is to be written to a fact")

    def close(self) -> None:
        pass


def local_ssh_client(wire: Wire) -> Callable[[], Any]:
    """A class to put in the place of pyinfra's SSHClient."""

    class LocalSSHClient:
        def connect(self, hostname: str, **kwargs: object) -> None:
            pass

        def get_transport(self) -> LocalTransport:
            return LocalTransport(wire)

        def exec_command(self, command: str, get_pty: bool = False) -> tuple[Any, Any, Any]:
            wire.execs.append(command)
            shell = ["bash", "-c", wire.rewrite(command)]
            done = subprocess.run(shell, stdin=subprocess.DEVNULL, capture_output=True)
            status = done.returncode if done.returncode >= 0 else -1
            return _Input(), _Output(done.stdout, status), _Output(done.stderr, status)

    return LocalSSHClient


class Run:
    """One run of a deploy on one host.

    + name: the host's
    """

    def __init__(self, name: str = "h1", **config: Any) -> None:
        inventory = Inventory(([(f"@rocminfra/{name}", {})], {}))
        self.state = State(inventory, Config(**config))
        ctx_state.set(self.state)
        self.host: Host = inventory.get_host(name)
        connector = self.host.connector
        assert isinstance(connector, BatchedSSHConnector)
        self.connector = connector

    def __enter__(self) -> Run:
        connect_all(self.state)
        return self

    def __exit__(self, *error: object) -> None:
        disconnect_all(self.state)

    def shell(self, command: str) -> None:
        """What an operation does to a host."""
        status, output = self.host.run_shell_command(command)
        assert status, output.output


def lists(cache: Path) -> list[Path]:
    """The learned lists in a cache folder."""
    return sorted((cache / "rocminfra" / "facts").glob("*.json"))
