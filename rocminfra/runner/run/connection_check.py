"""Whether a connected host runs commands: a login shell that works, and sudo where it is used.

Asked once a host, right after connecting and beside the facts that are on their way already: a
shell that ends before it runs anything looks like a host on which nothing is.
"""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Mapping
from typing import Any

import gevent
from paramiko import Channel, ChannelException, SSHException, Transport
from pyinfra.api import StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import SUDO_PASSWORD_REQUIRED_LINES, make_unix_command_for_host

from rocminfra.failure import Again, Do, Failure, Fault, Next
from rocminfra.host_answers import END, answer, framed, said_after, said_besides
from rocminfra.runner.run.connection_trouble import login

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
# What cloud-init puts before root's key in authorized_keys.
_LOGIN_AS = re.compile(r'login as the user "?([a-z_][a-z0-9_-]*)"? rather')
_QUIET = Again(
    "let its start-up files (~/.bashrc, ~/.profile) leave a command alone; in ~/.bashrc, "
    "first of all: case $- in *i*) ;; *) return ;; esac; then"
)
# Of the connector's arguments, those that do not become part of the command.
_CONTROL = ("_success_exit_codes", "_timeout", "_get_pty", "_stdin")


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
    others = gevent.spawn(_opens, transport, SESSIONS - 1)
    try:
        status, stdout, stderr, late = _run(transport, _asking(state, host, arguments))
        found = answer(stdout)
        if status == 0 and found == _HARD and not late and (seconds := _worth_waiting(stdout)):
            slow = _asking(state, host, arguments, seconds)
            status, stdout, stderr, late = _run(transport, slow)
            found = answer(stdout)
            if status == 0 and found is not None and found != _HARD:
                return _talks_in_between(host, found)
    except ChannelException:
        return _too_few_sessions(host)
    except TimeoutError:
        what = f"{host.name} does not end a command within {TIMEOUT_S:.0f} s"
        why = (
            "its login shell, or sudo, waits for something, or what the shell's start-up files "
            "leave running goes on writing"
        )
        return Failure(Fault.COMMAND_DOES_NOT_START, what, (why,), _look(host))
    if status == 0 and found is not None:
        if found != _HARD and set(_HARD) <= set(found):
            return _talks_in_between(host, found)
        if late:
            return _talks_in_between(host, late)
        if found != _HARD:
            why = f"of {chr(10).join(_HARD)!r} it made {chr(10).join(found)!r}"
            return _other_shell(host, None, (why,))
        return None if others.get() or _opens_enough(transport) else _too_few_sessions(host)
    if any(line.strip() in SUDO_PASSWORD_REQUIRED_LINES for line in stderr) and _can_ask():
        return None  # pyinfra asks for it
    said = [line.strip() for line in (*said_besides(stdout), *stderr) if line.strip()]
    return judged(host, status, said, transport.remote_version, arguments)


def _asking(state: State, host: Host, arguments: Mapping[str, Any], seconds: float = 0.0) -> str:
    """The command that prints the hard text, after so many seconds within its answer."""
    wait = f"sleep {seconds:.1f}; " if seconds else ""
    script = framed(f"{wait}printf %s\\\\n {shlex.quote(chr(10).join(_HARD))}")
    command = make_unix_command_for_host(state, host, StringCommand(script), **arguments)
    return command.get_raw_value()


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


def _too_few_sessions(host: Host) -> Failure:
    return Failure(
        Fault.LOGIN_UNUSABLE,
        f"{host.name}: sshd opens fewer than {SESSIONS} sessions at once over one connection "
        "(MaxSessions)",
        ("the lock, a command and a file transfer need one each",),
        Again("on the host, in /etc/ssh/sshd_config: MaxSessions 10; systemctl reload ssh; then"),
    )


def _talks_in_between(host: Host, said: list[str]) -> Failure:
    user = host.data.get("ssh_user") or "the login"
    what = f"{host.name}: what the login shell of {user} leaves running writes into answers"
    # Text without an end of line stands in the answer's own lines.
    why = tuple(rest for line in said if line not in _HARD and (rest := line.replace(_HARD[0], "")))
    return Failure(Fault.LOGIN_UNUSABLE, what, why[-5:], _QUIET)


def _other_shell(host: Host, shell: str | None, why: tuple[str, ...]) -> Failure:
    """The failure of a login shell that does not read quotes as sh does."""
    user = host.data.get("ssh_user") or "the login"
    named = f"is {shell}, which" if shell else "is not like sh: it"
    return Failure(
        Fault.LOGIN_UNUSABLE,
        f"{host.name}: the login shell of {user} {named} reads quotes in its own way",
        why,
        Again(f"on the host: chsh -s /bin/bash {user}; or log in as another user (ssh_user); then"),
    )


def judged(
    host: Host, status: int, said: list[str], version: str, arguments: Mapping[str, Any]
) -> Failure:
    """The failure of a host that did not run a command.

    + status: exit status, -1 for none
    + said: what it printed instead, on both outputs
    + version: what the server calls itself, such as ``SSH-2.0-OpenSSH_9.2p1``
    + arguments: with which the command was to run
    """
    user = host.data.get("ssh_user") or "the login"
    text = "\n".join(said).lower()
    why = tuple(said[-5:])
    following: Next | None
    if arguments.get("_sudo") and "sudo" in text and status != 0:
        what, following = _sudo(host, str(user), text)
    elif (shell := _shell(said)) is not None:
        return _other_shell(host, shell, why)
    elif status == 0:
        what = f"{host.name}: the login shell of {user} ends before it runs a command"
        following = _QUIET
    elif (other := _LOGIN_AS.search(text)) is not None:
        what = f"{host.name}: {user} is not the user to log in as"
        following = Again(f"log in as {other[1]} (ssh_user: {other[1]}, _sudo: true); then")
    elif "password has expired" in text or "password change required" in text:
        what = f"{host.name}: the password of {user} has expired"
        by_hand = login(host) or "ssh"
        following = Again(
            f"set a new one with {by_hand.replace('ssh ', 'ssh -t ', 1).removesuffix(' true')}"
            f", or on the host: chage -d $(date +%F) {user}; then"
        )
    elif "sftp connections only" in text:
        what = f"{host.name}: {user} may only transfer files there"
        following = Again("log in as a user who may run commands (ssh_user); then")
    else:
        what = f"{host.name}: {user} cannot run commands there"
        code = "no exit status" if status < 0 else f"exit status {status}"
        why = (*why, f"a command of sh ended with {code}")
        if "openssh" not in version.lower():
            why = (*why, f"the server calls itself {version}; only OpenSSH was tried")
        following = _look(host)
    return Failure(Fault.LOGIN_UNUSABLE, what, why, following)


def _shell(said: list[str]) -> str | None:
    """Which shell complains about what every sh reads, by the form of its complaints."""
    if any(line.startswith("fish: ") for line in said):
        return "fish"
    if any(line.endswith(": Event not found.") for line in said):
        return "csh or tcsh"
    return None


def _sudo(host: Host, user: str, text: str) -> tuple[str, Next]:
    """What is wrong with sudo, by what it said, and the remedy."""
    rule = f"'{user} ALL=(ALL) NOPASSWD: ALL'"
    allow = f"as root, visudo -f /etc/sudoers.d/{user}: {rule}"
    if "tty" in text:
        what, remedy = "sudo wants a terminal", f"as root, in visudo: 'Defaults:{user} !requiretty'"
    elif "password" in text or "authentication" in text or "terminal" in text:
        what, remedy = f"sudo asks {user} for a password", allow
    elif "not found" in text:
        what, remedy = "there is no sudo", "install it"
    else:
        what, remedy = f"sudo does not let {user} run everything", allow
    return f"{host.name}: {what}", Again(f"{remedy}; or log in as root (ssh_user: root); then")


def _look(host: Host) -> Do | None:
    by_hand = login(host)
    return None if by_hand is None else Do(by_hand)


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
    while block := channel.recv(65536):
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


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split("\n")
