"""Files to and from the host, also where its login shell talks.

OpenSSH starts its SFTP server through the login shell, so one that greets breaks the protocol. Then
files go through a command's own input and output, where an answer can be told from a greeting.
"""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import IO, Any

from paramiko import Channel, SFTPError, SSHException
from pyinfra.api import FileUploadCommand, FunctionCommand, StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import make_unix_command_for_host

from rocminfra.bench.remote import CommandFailedError, Readable
from rocminfra.failure import Again, FailedError, Failure, Fault
from rocminfra.host_answers import BEGIN
from rocminfra.operations import ssh_process
from rocminfra.operations.host_failures import record

_BLOCK = 1 << 18
# A host that neither takes nor gives a byte for so long is gone.
_STALL_S = 120.0
# What no answer of ours is preceded by.
_MOST_CHATTER = 1 << 20
# Those that do not become part of the command.
_CONTROL = ("_success_exit_codes", "_timeout", "_get_pty", "_stdin")
_WAY = "rocminfra.transfers"


class Way(Enum):
    """How files are transferred."""

    FILES = "by the connector"
    STREAM = "by a command's input and output"


def way(host: Host) -> Way:
    """How files get to this host and back; opens the connector's transfer, which then stays open.

    Raises :class:`FailedError` when there is none: no SFTP on a host that is to use it.
    """
    connector = host.connector
    if not isinstance(connector, SSHConnector) or connector.client is None:
        return Way.FILES
    if connector.data["ssh_file_transfer_protocol"] != "sftp":
        return Way.FILES
    known: Way | None = host.connector_data.get(_WAY)
    if known is None:
        known = host.connector_data[_WAY] = _found(host, connector)
    return known


def upload(host: Host, source: str | IO[Any], target: str, temporary: str | None) -> PyinfraCommand:
    """A command that sends a file.

    + source: path on this machine, or an open text
    + target: path on the host
    + temporary: where it may land first, for a login that needs sudo to write ``target``

    Raises :class:`FailedError` as :func:`way` does.
    """
    if way(host) is Way.FILES:
        return FileUploadCommand(source, target, remote_temp_filename=temporary)
    return FunctionCommand(_send, (source, target, arguments_of(host)), {})


def arguments_of(host: Host) -> dict[str, Any]:
    """Arguments of the connector, such as sudo, that the operation at work has."""
    given: Any = host.current_op_global_arguments or {}
    return {key: given[key] for key in CONNECTOR_ARGUMENT_KEYS if key in given}


def fetch(state: State, host: Host, path: str, target: Path, arguments: dict[str, Any]) -> None:
    """Copy a file of the host here.

    + path: on the host
    + target: on this machine; replaced
    + arguments: what :func:`arguments_of` gave

    Raises OSError when it does not arrive whole, :class:`FailedError` as :func:`way` does.
    """
    if way(host) is Way.FILES:
        try:
            succeeded = host.get_file(path, str(target), **arguments)
        except (SFTPError, SSHException, ConnectError) as error:
            raise OSError(str(error)) from error
        if not succeeded:
            raise OSError(f"{path} could not be copied")
        return
    quoted = shlex.quote(path)
    # With its size, so that nothing that is printed after the file is taken for a part of it.
    size = f"size=$(stat -c %s {quoted}) && printf '\\n%s\\n%s\\n' '{BEGIN}' \"$size\""
    script = f"{size} && cat {quoted}"
    with _opened(state, host, script, arguments) as channel:
        channel.shutdown_write()
        _receive(channel, target)


def is_ssh(host: Host) -> bool:
    """Whether commands run over an SSH connection that is open, on which :func:`stream` works."""
    return isinstance(host.connector, SSHConnector) and host.connector.client is not None


@contextmanager
def stream(
    state: State,
    host: Host,
    script: str,
    stdin: bytes,
    arguments: dict[str, Any],
    size: int = 0,
) -> Iterator[Readable]:
    """What a script on the host prints, as it comes.

    + script: shell command
    + stdin: what it reads
    + arguments: what :func:`arguments_of` gave
    + size: bytes that are expected; many come by a process of `ssh` where one can be used

    Reading raises OSError when the connection breaks, CommandFailedError when the script fails.
    """
    marked = f"printf '\\n%s\\n' '{BEGIN}'; {script}"
    if size >= ssh_process.WORTH_BYTES:
        with _by_process(state, host, marked, stdin, arguments) as reader:
            if reader is not None:
                yield reader
                return
    try:
        with _opened(state, host, marked, arguments) as channel:
            channel.sendall(stdin)
            channel.shutdown_write()
            yield ChannelReader(channel)
    except SSHException as error:
        raise OSError(str(error) or type(error).__name__) from error


class ChannelReader:
    """Reads what stands after our mark on a channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._buffer = b""
        self._is_after_mark = False

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        if not self._is_after_mark:
            self._buffer = _after_mark(self._channel)
            self._is_after_mark = True
        if not self._buffer:
            self._buffer = self._channel.recv(max(size, _BLOCK))
            status = 0 if self._buffer else self._channel.recv_exit_status()
            if status > 0:
                said = self._channel.recv_stderr(4096).decode("utf-8", "replace").strip()
                raise CommandFailedError(said or f"exit code {status}")
            if status < 0:  # none came
                raise ConnectionResetError("the connection was lost")
        part, self._buffer = self._buffer[:size], self._buffer[size:]
        return part


def _found(host: Host, connector: SSHConnector) -> Way:
    try:
        connector.get_file_transfer_connection()
        return Way.FILES
    except (ConnectError, EOFError, OSError, SFTPError, SSHException) as error:
        cause = error.__cause__ or error
        # paramiko's word for bytes that are none of SFTP's.
        if isinstance(cause, SFTPError):
            return Way.STREAM
        raise FailedError.of(no_sftp(host.name, cause)) from error


def no_sftp(name: str, error: BaseException) -> Failure:
    """The failure of a host that offers no SFTP."""
    reason = str(error) or type(error).__name__
    return Failure(
        Fault.NO_SFTP,
        f"{name} offers no SFTP, by which files would be copied",
        (f"SFTP: {reason}",),
        Again(
            "set ssh_file_transfer_protocol: scp for this host (for one run: "
            "--data ssh_file_transfer_protocol=scp), or let its sshd_config have a line "
            "'Subsystem sftp internal-sftp'; then"
        ),
    )


def _send(
    state: State, host: Host, source: str | IO[Any], target: str, arguments: dict[str, Any]
) -> bool:
    script = f"cat >{shlex.quote(target)}"
    try:
        with _opened(state, host, script, arguments) as channel, _readable(source) as file:
            while block := file.read(_BLOCK):
                channel.sendall(block)
            channel.shutdown_write()
            # Read to the end, or a host that talks a lot would wait for us.
            while channel.recv(_BLOCK):
                pass
            status = channel.recv_exit_status()
            if status == 0:
                return True
            why = channel.recv_stderr(4096).decode("utf-8", "replace").splitlines()
    except (OSError, SSHException, EOFError) as error:
        why = [str(error) or type(error).__name__]
    what = f"{target} could not be written on {host.name}"
    record(host, Failure(Fault.FILE_NOT_WRITTEN, what, tuple(why), Again()))
    return False


def _readable(source: str | IO[Any]) -> IO[bytes]:
    if isinstance(source, str):
        return open(source, "rb")
    source.seek(0)
    content = source.read()
    return io.BytesIO(content.encode() if isinstance(content, str) else content)


@contextmanager
def _by_process(
    state: State, host: Host, script: str, stdin: bytes, arguments: dict[str, Any]
) -> Iterator[Readable | None]:
    connector = host.connector
    assert isinstance(connector, SSHConnector)
    line = ssh_process.command_line(connector, arguments)
    transport = connector.client.get_transport() if connector.client is not None else None
    if line is None or transport is None:
        yield None
        return
    command = _command(state, host, script, arguments)
    with ssh_process.stream(transport, line, command, stdin, _STALL_S) as reader:
        yield reader


def _command(state: State, host: Host, script: str, arguments: dict[str, Any]) -> str:
    given = {key: value for key, value in arguments.items() if key not in _CONTROL}
    command = make_unix_command_for_host(state, host, StringCommand(script), **given)
    raw: str = command.get_raw_value()
    return raw


def _opened(state: State, host: Host, script: str, arguments: dict[str, Any]) -> Channel:
    connector = host.connector
    client = connector.client if isinstance(connector, SSHConnector) else None
    transport = client.get_transport() if client is not None else None
    if transport is None:
        raise OSError("the connection is gone")
    command = _command(state, host, script, arguments)
    channel = transport.open_session(timeout=_STALL_S)
    channel.settimeout(_STALL_S)
    channel.exec_command(command)
    return channel


def _after_mark(channel: Channel) -> bytes:
    """Reads up to our mark; what came after it already."""
    mark = f"\n{BEGIN}\n".encode()
    buffer = b""
    while mark not in buffer:
        block = channel.recv(_BLOCK)
        if not block or len(buffer) > _MOST_CHATTER:
            said = channel.recv_stderr(4096).decode("utf-8", "replace").strip()
            raise OSError(said or "the host sent no file")
        buffer += block
    return buffer.partition(mark)[2]


def _receive(channel: Channel, target: Path) -> None:
    buffer = _after_mark(channel)
    while b"\n" not in buffer:
        buffer += _more(channel)
    line, _, buffer = buffer.partition(b"\n")
    left = int(line)
    with target.open("wb") as file:
        while True:
            part = buffer[:left]
            file.write(part)
            left -= len(part)
            if left == 0:
                return
            buffer = _more(channel)


def _more(channel: Channel) -> bytes:
    block = channel.recv(_BLOCK)
    if not block:
        raise OSError("the file ended early")
    return block
