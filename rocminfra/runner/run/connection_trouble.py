"""Why a host could not be connected to, in words, and what to do about it.

One mapping for whatever pyinfra, paramiko and the sockets below them raise.
"""

from __future__ import annotations

import errno
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

from paramiko import (
    AuthenticationException,
    BadHostKeyException,
    PasswordRequiredException,
    PKey,
    ProxyCommandFailure,
    SSHException,
)
from paramiko.ssh_exception import IncompatiblePeer, NoValidConnectionsError
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.connectors.ssh import SSHConnector

from rocminfra.failure import Again, Do, Failure, Fault, Next
from rocminfra.inventory.ssh_config import direct_place, original_file
from rocminfra.runner.run import port_greeting


def unreachable(host: Host, error: BaseException) -> Failure:
    """The failure of a host that could not be connected to.

    + error: what connecting raised
    """
    words, following = _explained(host, error)
    said = str(error) or type(error).__name__
    if not isinstance(error, _SPOKEN):
        said = f"{type(error).__name__}: {said}"
    why = (said,) if words is None else (said, words)
    return Failure(Fault.HOST_UNREACHABLE, f"{host.name} cannot be reached", why, following)


def login(host: Host) -> str | None:
    """The same login by hand, which shows what ssh itself says; None for other connectors."""
    if not issubclass(host.connector_cls, SSHConnector):
        return None
    data = host.data
    words = ["ssh"]
    if data.get("ssh_config_file"):
        words += ["-F", original_file(str(data.get("ssh_config_file")))]
    if data.get("ssh_port"):
        words += ["-p", str(data.get("ssh_port"))]
    if data.get("ssh_key"):
        words += ["-i", str(Path(str(data.get("ssh_key"))).expanduser())]
    if data.get("ssh_known_hosts_file"):
        words += ["-o", f"UserKnownHostsFile={data.get('ssh_known_hosts_file')}"]
    user, target = data.get("ssh_user"), address(host)
    words += [f"{user}@{target}" if user else target, "true"]
    return shlex.join(words)


def address(host: Host) -> str:
    """What the host is called where it is connected to."""
    return str(host.data.get("ssh_hostname") or host.name)


_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
# What paramiko says of a server that greets otherwise.
_NO_SSH = ("protocol banner", "protocol version")
# Whose text is a sentence already.
_SPOKEN = (SSHException, OSError, ConnectError)


def _explained(host: Host, error: BaseException) -> tuple[str | None, Next | None]:
    """What it means, where it can be said, and the next step."""
    causes = tuple(_chain(error))
    by_hand = login(host)
    look = None if by_hand is None else Do(by_hand)
    loud = look if by_hand is None else Do(by_hand.replace("ssh ", "ssh -v ", 1))
    for cause in causes:
        if isinstance(cause, BadHostKeyException) or "does not match" in str(cause):
            return (
                "the host's key is another than the known one: a new machine behind the same "
                "address, or someone in between",
                Again(f"when you know why it changed: {_forget_key(host)}; then"),
            )
        passphrase = isinstance(cause, EOFError) and _needs_passphrase(host)
        if (
            isinstance(cause, PasswordRequiredException)
            or "Private key file" in str(cause)
            or passphrase
        ):
            key = host.data.get("ssh_key") or "FILE"
            return (
                "the key has a passphrase, and there is nobody to ask for it",
                Again(f"ssh-add {shlex.quote(str(key))}, and leave ssh_key out; then"),
            )
        if "private key file" in str(cause):
            return _no_key(str(cause)), look
        if isinstance(cause, AuthenticationException) and "saw EOF" in str(cause):
            user = host.data.get("ssh_user")
            return (
                f"sshd hung up on {user} in the middle of the login: the account is expired or may "
                "not log in yet (/etc/nologin, while the machine boots), or sshd wants a second "
                "factor, which nobody can give here",
                loud,
            )
        if isinstance(cause, SSHException) and "No authentication methods" in str(cause):
            return "there is no key to log in with: set ssh_key, or load one (ssh-add)", look
        if isinstance(cause, AuthenticationException):
            user = host.data.get("ssh_user")
            return (
                f"sshd accepts none of the keys for the user {user}: another login (ssh_user), "
                "another key (ssh_key), or a key that is not on the host",
                look,
            )
        if isinstance(cause, socket.gaierror):
            return "the name means nothing to this machine's resolver (ssh_hostname)", look
        if any(number in _NO_WAY for number in _numbers(cause)):
            return (
                "there is no way to that address from here: a network that is down, or a wrong "
                "address (ssh_hostname)",
                look,
            )
        if isinstance(cause, OSError) and str(cause.filename or "").endswith(_known_hosts(host)):
            return (
                "the file of known hosts cannot be written (ssh_known_hosts_file)",
                Do(f"ls -ld {shlex.quote(str(Path(str(cause.filename)).parent))}"),
            )
        if isinstance(cause, (ProxyCommandFailure, BrokenPipeError)):
            return "the ProxyCommand of the ssh configuration ends, or cannot be started", loud
        if isinstance(cause, ConnectionRefusedError) or "Unable to connect to port" in str(cause):
            return "nothing listens on that port (ssh_port), or the machine still boots", look
        if isinstance(cause, IncompatiblePeer):
            return "the server and paramiko have no algorithm in common", loud
        if isinstance(cause, SSHException) and any(sign in str(cause) for sign in _NO_SSH):
            return _no_ssh(host, loud)
        if isinstance(cause, SSHException) and "No host key for" in str(cause):
            return (
                "the host's key is not known, and ssh_strict_host_key_checking does not let it be "
                "accepted",
                look,
            )
        if isinstance(cause, EOFError) and "reading a line" in str(cause):
            return (
                "the key of a jump host is not known, and there is no terminal to ask about it: "
                "in the ssh configuration, StrictHostKeyChecking accept-new below that host",
                look,
            )
        if isinstance(cause, (EOFError, ConnectionResetError)):
            return "the server hung up while the connection was made", loud
        if isinstance(cause, TimeoutError):
            return "nothing answers: a firewall, a wrong address, or a machine that is off", look
    if not isinstance(causes[0], (SSHException, OSError)) and host.data.get("ssh_config_file"):
        return "the ssh configuration could not be used", look
    return None, look


def _no_ssh(host: Host, loud: Do | None) -> tuple[str, Next | None]:
    """What listens on a port where nobody greeted as SSH does."""
    file = host.data.get("ssh_config_file")
    # Through a jump host, the port is another one's to look at.
    place = direct_place(address(host), str(file) if file else None, host.data.get("ssh_port"))
    found = None if place is None else port_greeting.described(*place)
    if found is not None:
        words, is_other = found
        again = Again("set ssh_port (Port in an ssh configuration) to the port of sshd; then")
        return words, again if is_other else loud
    return "the port is open, but what listens there does not speak SSH, or hangs up", loud


def _numbers(error: BaseException) -> tuple[int | None, ...]:
    """Error numbers of the system; paramiko's summary of several addresses hides theirs."""
    each = error.errors.values() if isinstance(error, NoValidConnectionsError) else (error,)
    return tuple(one.errno for one in each if isinstance(one, OSError))


def _known_hosts(host: Host) -> str:
    return Path(str(host.data.get("ssh_known_hosts_file") or "~/.ssh/known_hosts")).name


def _needs_passphrase(host: Host) -> bool:
    """Whether ``ssh_key`` is encrypted: without a terminal, its passphrase is an EOF."""
    key = host.data.get("ssh_key")
    if not key:
        return False
    try:
        PKey.from_path(Path(str(key)).expanduser())
    except (PasswordRequiredException, TypeError):  # the latter for OpenSSH's own format
        return True
    except Exception:  # whatever is wrong with it is said by what asked for it
        return False
    return False


def _no_key(said: str) -> str:
    if said.startswith("No such"):
        return "ssh_key names no file on this machine"
    return (
        "ssh_key has to name a private key in OpenSSH's or PEM form: not its .pub, and not "
        "PuTTY's (puttygen KEY -O private-openssh -o NEW)"
    )


def _forget_key(host: Host) -> str:
    port = host.data.get("ssh_port") or 22
    name = address(host) if int(port) == 22 else f"[{address(host)}]:{port}"
    words = ["ssh-keygen", "-R", name]
    if host.data.get("ssh_known_hosts_file"):
        words += ["-f", str(host.data.get("ssh_known_hosts_file"))]
    return shlex.join(words)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised for, innermost last."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
