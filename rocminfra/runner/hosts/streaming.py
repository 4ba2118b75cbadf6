"""A program on a host whose output is read line by line while it runs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from paramiko import SSHException
from pyinfra.api import StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import make_unix_command_for_host

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.host_answers import BEGIN, END, framed
from rocminfra.runner.run.host_program import connector_arguments, launched

# Of the connector's arguments, those that do not become part of the command.
_CONTROL = ("_success_exit_codes", "_timeout", "_get_pty", "_stdin")


def streamed(
    state: State, host: Host, program: str, request: str, fault: Fault, what: str
) -> Iterator[str]:
    """The lines that a program of ``host/sent`` prints, as they come.

    Its standard input stays open until the reader ends; that is how the program knows.

    + request: one line for its standard input
    + fault, what: of the failure when it fails

    Raises :class:`FailedError` when it fails; what paramiko raises when the connection is lost.
    """
    script, text = launched(program)
    arguments = {k: v for k, v in connector_arguments(state, host).items() if k not in _CONTROL}
    command = make_unix_command_for_host(state, host, StringCommand(framed(script)), **arguments)
    started = f"{text}{request}\n".encode()
    raw = command.get_raw_value()
    connector = host.connector
    if isinstance(connector, SSHConnector) and connector.client is not None:
        lines = _over_ssh(connector, raw, started, fault, what)
    elif isinstance(connector, LocalConnector):
        lines = _here(raw, started, fault, what)
    else:
        raise FailedError(Fault.NOT_OVER_SSH, f"{host.name} is not reached over SSH")
    # A login shell may greet before, and say goodbye after.
    begun = False
    for line in lines:
        if line == BEGIN and not begun:
            begun = True
        elif begun and line and line != END:
            yield line


def _over_ssh(
    connector: SSHConnector, command: str, text: bytes, fault: Fault, what: str
) -> Iterator[str]:
    transport = connector.client.get_transport() if connector.client is not None else None
    if transport is None:
        raise SSHException("the connection is closed")
    channel = transport.open_session()
    try:
        channel.exec_command(command)
        channel.sendall(text)
        rest = b""
        while block := channel.recv(65536):
            *lines, rest = (rest + block).split(b"\n")
            yield from (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
        said = channel.makefile_stderr("r").read()
        if not transport.is_active():
            raise SSHException("the connection was lost")
        _check(channel.recv_exit_status(), str(said, "utf-8", "replace"), fault, what)
    finally:
        channel.close()


def _here(command: str, text: bytes, fault: Fault, what: str) -> Iterator[str]:
    process = subprocess.Popen(
        ["sh", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        process.stdin.write(text)
        process.stdin.flush()
        for line in process.stdout:
            yield line.decode("utf-8", "replace").rstrip("\n")
        said = process.stderr.read()
        _check(process.wait(), said.decode("utf-8", "replace"), fault, what)
    finally:
        process.stdin.close()
        process.stdout.close()
        process.stderr.close()
        process.wait()


def _check(status: int, said: str, fault: Fault, what: str) -> None:
    if status == 0:
        return
    why = tuple(line for line in said.splitlines() if line.strip())[-5:]
    raise FailedError(fault, what, why or (f"exit status {status}",), Do("rocminfra status"))
