"""Whether a connected host runs commands: a login shell that works, and sudo where it is used.

Asked once a host, right after connecting and beside the facts that are on their way already: a
shell that ends before it runs anything looks like a host on which nothing is.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import gevent
from paramiko import Channel, ChannelException, SSHException, Transport
from pyinfra.api import StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import SUDO_PASSWORD_REQUIRED_LINES, make_unix_command_for_host

from rocminfra.connectors.batch import Limits
from rocminfra.failure import Failure, Fault
from rocminfra.host_answers import END, answer, framed, said_after, said_besides
from rocminfra.runner.run.unusable_login import (
    held_open,
    is_plain,
    judged,
    look,
    other_server,
    other_shell,
    talks_in_between,
    too_few_sessions,
)

TIMEOUT_S = 30.0
# Sessions over one connection that a run needs at once: lock, command, file transfer.
SESSIONS = 3
# How long facts that are on their way may hold theirs.
SESSIONS_WITHIN_S = 5.0
# How long after its answer a session may say goodbye; what writes later, writes into others too.
GOODBYE_S = 1.0
# A shell that talks is asked once more, with an answer that takes longer: what comes in between is
# no goodbye. After a greeting alone, only what came a moment too early can.
GREETED_S = 0.3
# Text that a shell unlike sh changes even in quotes.
_HARD = ["a\\\\b\\'c !d $e", "f"]
_MOST_BYTES = 1 << 20
# Of the connector's arguments, those that do not become part of the command.
_CONTROL = ("_success_exit_codes", "_timeout", "_get_pty", "_stdin")


class _HeldOpenError(Exception):
    """A session has answered, and does not end."""


def trouble(state: State, host: Host) -> Failure | None:
    """Why this host runs no commands, or None when it does.

    Raises what paramiko raises when the connection is lost meanwhile.
    """
    connector = host.connector
    if not isinstance(connector, SSHConnector) or connector.client is None:
        return None
    transport = connector.client.get_transport()
    given, _ = pop_global_arguments(state, host, {})
    arguments: dict[str, Any] = {
        key: value
        for key, value in given.items()
        if key in CONNECTOR_ARGUMENT_KEYS and key not in _CONTROL
    }
    if transport is None or arguments.get("_sudo_password") or arguments.get("_su_password"):
        return None
    version = transport.remote_version
    try:
        return _trouble(state, host, transport, arguments)
    except (SSHException, EOFError, OSError) as error:
        if is_plain(version):
            raise
        return other_server(host, version, (str(error) or "it ended the connection",))


def _trouble(
    state: State, host: Host, transport: Transport, arguments: Mapping[str, Any]
) -> Failure | None:
    version = transport.remote_version
    longest = 0 if is_plain(version) else Limits().most_text
    others = gevent.spawn(_opens, transport, SESSIONS - 1)
    try:
        asking = _asking(state, host, arguments, longest=longest)
        status, stdout, stderr, late = _run(transport, asking)
        found = answer(stdout)
        if status == 0 and found == _HARD and not late and (seconds := _worth_waiting(stdout)):
            slow = _asking(state, host, arguments, seconds)
            status, stdout, stderr, late = _run(transport, slow)
            found = answer(stdout)
            if status == 0 and found is not None and found != _HARD:
                return talks_in_between(host, _besides(found))
    except ChannelException:
        return too_few_sessions(host, SESSIONS)
    except _HeldOpenError:
        return held_open(host, TIMEOUT_S)
    except TimeoutError:
        what = f"{host.name} does not end a command within {TIMEOUT_S:.0f} s"
        why = (
            "its login shell, or sudo, waits for something, or what the shell's start-up files "
            "leave running goes on writing"
        )
        return Failure(Fault.COMMAND_DOES_NOT_START, what, (why,), look(host))
    if status == 0 and found is not None:
        if found != _HARD and set(_HARD) <= set(found):
            return talks_in_between(host, _besides(found))
        if late:
            return talks_in_between(host, late)
        if found != _HARD:
            why = f"of {chr(10).join(_HARD)!r} it made {chr(10).join(found)!r}"
            return other_shell(host, None, (why,))
        return (
            None if others.get() or _opens_enough(transport) else too_few_sessions(host, SESSIONS)
        )
    if any(line.strip() in SUDO_PASSWORD_REQUIRED_LINES for line in stderr) and _can_ask():
        return None  # pyinfra asks for it
    said = [line.strip() for line in (*said_besides(stdout), *stderr) if line.strip()]
    return judged(host, status, said, version, arguments)


def _asking(
    state: State,
    host: Host,
    arguments: Mapping[str, Any],
    seconds: float = 0.0,
    longest: int = 0,
) -> str:
    """The command that prints the hard text.

    + seconds: wait so long within the answer
    + longest: bytes of a word in it that does nothing; programs of ours make commands as long
    """
    first = f": {'x' * longest}; " if longest else ""
    first += f"sleep {seconds:.1f}; " if seconds else ""
    script = framed(f"{first}printf %s\\\\n {shlex.quote(chr(10).join(_HARD))}")
    command = make_unix_command_for_host(state, host, StringCommand(script), **arguments)
    return command.get_raw_value()


def _besides(found: list[str]) -> list[str]:
    """What stands in an answer besides the hard text, also without an end of line."""
    others = (line.replace(_HARD[0], "") for line in found if line not in _HARD)
    return [line for line in others if line]


def _worth_waiting(stdout: list[str]) -> float:
    """For how long to wait for what is written into an answer, by what stands around this one."""
    if said_after(stdout):
        return GOODBYE_S + 0.2
    return GREETED_S if said_besides(stdout) else 0.0


def _opens(transport: Transport, count: int) -> bool:
    """Whether sshd opens so many more sessions at once; they are closed again."""
    opening = [gevent.spawn(_opened, transport) for _ in range(count)]
    gevent.joinall(opening)
    found = [greenlet.value for greenlet in opening]
    for channel in found:
        if channel is not None:
            with suppress(SSHException, EOFError, OSError):  # the connection is lost
                channel.close()
    return all(channel is not None for channel in found)


def _opened(transport: Transport) -> Channel | None:
    try:
        return transport.open_session(timeout=TIMEOUT_S)
    except (SSHException, EOFError, OSError):  # refused (ChannelException), unanswered, or lost
        return None


def _opens_enough(transport: Transport) -> bool:
    """As :func:`_opens` for all of them, once the sessions of a moment ago are gone.

    Raises :class:`SSHException` when the connection is lost.
    """
    end = time.monotonic() + SESSIONS_WITHIN_S
    while True:
        if _opens(transport, SESSIONS):
            return True
        if not transport.is_active():
            raise SSHException("the connection ended while sessions were opened")
        if time.monotonic() > end:
            return False
        time.sleep(0.2)


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _run(transport: Transport, command: str) -> tuple[int, list[str], list[str], list[str]]:
    """Exit status, standard output, stderr, and what was printed long after the answer."""
    channel = transport.open_session(timeout=TIMEOUT_S)
    try:
        channel.settimeout(TIMEOUT_S)
        channel.exec_command(command)
        channel.shutdown_write()
        stdout, late = _read(channel)
        channel.status_event.wait(TIMEOUT_S)
        stderr = b""
        while channel.recv_stderr_ready() and len(stderr) < _MOST_BYTES:
            stderr += channel.recv_stderr(65536)
        said = [line.strip() for line in _lines(late) if line.strip()]
        return channel.exit_status, _lines(stdout), _lines(stderr), said
    finally:
        channel.close()


def _read(channel: Channel) -> tuple[bytes, bytes]:
    found = late = b""
    answered = None
    end = time.monotonic() + TIMEOUT_S
    while block := _block(channel, answered is not None):
        now = time.monotonic()
        if answered is not None and now - answered > GOODBYE_S:
            late += block
        found += block
        if answered is None and END.encode() in found:
            answered = now
        if now > end:  # the channel's own limit is one of silence
            raise TimeoutError
        if len(found) > _MOST_BYTES:
            break
    return found, late


def _block(channel: Channel, is_answered: bool) -> bytes:
    try:
        return channel.recv(65536)
    except TimeoutError:
        if is_answered:
            raise _HeldOpenError from None
        raise


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split("\n")
