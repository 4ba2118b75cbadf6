"""What is said of a host that lets somebody in and runs no commands for them, with the remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pyinfra.api.host import Host

from rocminfra.failure import Again, Do, Failure, Fault, Next
from rocminfra.runner.run.connection_trouble import login

# What cloud-init puts before root's key in authorized_keys.
_LOGIN_AS = re.compile(r'login as the user "?([a-z_][a-z0-9_-]*)"? rather')
_QUIET = Again(
    "let its start-up files (~/.bashrc, ~/.profile) leave a command alone; in ~/.bashrc, "
    "first of all: case $- in *i*) ;; *) return ;; esac; then"
)
# What servers call themselves, and what they run on.
_SERVERS = (
    ("openssh_for_windows", "a Windows machine"),
    ("dropbear", "Dropbear, of a rescue system, an initramfs or a small device"),
    ("rosssh", "a router of MikroTik"),
    ("cisco", "a device of Cisco"),
    ("huawei", "a device of Huawei"),
    ("comware", "a switch of HPE or H3C"),
    ("romsshell", "a network appliance"),
    ("sftp", "a server for files only"),
)


def too_few_sessions(host: Host, sessions: int) -> Failure:
    """The failure of a host whose server opens fewer sessions than a run needs.

    + sessions: that it needs at once
    """
    return Failure(
        Fault.LOGIN_UNUSABLE,
        f"{host.name}: sshd opens fewer than {sessions} sessions at once over one connection "
        "(MaxSessions)",
        ("the lock, a command and a file transfer need one each",),
        Again("on the host, in /etc/ssh/sshd_config: MaxSessions 10; systemctl reload ssh; then"),
    )


def talks_in_between(host: Host, said: list[str]) -> Failure:
    """The failure of a host on which something else writes into answers.

    + said: what it wrote, a line each
    """
    user = _user(host)
    what = f"{host.name}: what the login shell of {user} leaves running writes into answers"
    return Failure(Fault.LOGIN_UNUSABLE, what, tuple(said[-5:]), _QUIET)


def held_open(host: Host, seconds: float) -> Failure:
    """The failure of a host whose sessions answer and do not end.

    + seconds: for how long that was waited for
    """
    user = _user(host)
    return Failure(
        Fault.LOGIN_UNUSABLE,
        f"{host.name}: what the login shell of {user} leaves running holds every session open",
        (f"a command had answered, and its session did not end within {seconds:.0f} s",),
        Again(
            "in its start-up files (~/.bashrc, ~/.profile), give what they start an output of its "
            "own (COMMAND </dev/null >/dev/null 2>&1 &), and end what runs already; then"
        ),
    )


def other_shell(host: Host, shell: str | None, why: tuple[str, ...]) -> Failure:
    """The failure of a login shell that does not read quotes as sh does."""
    user = _user(host)
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
    user = _user(host)
    text = "\n".join(said).lower()
    why = tuple(said[-5:])
    code = "no exit status" if status < 0 else f"exit status {status}"
    if _kind(version) is not None:
        return other_server(host, version, (*why, f"a command of sh ended with {code}"))
    following: Next | None
    if arguments.get("_sudo") and "sudo" in text and status != 0:
        what, following = _sudo(host, user, text)
    elif (shell := _shell(said)) is not None:
        return other_shell(host, shell, why)
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
    elif not is_plain(version):
        return other_server(host, version, (*why, f"a command of sh ended with {code}"))
    else:
        what = f"{host.name}: {user} cannot run commands there"
        why = (*why, f"a command of sh ended with {code}")
        following = look(host)
    return Failure(Fault.LOGIN_UNUSABLE, what, why, following)


def is_plain(version: str) -> bool:
    """Whether a server is the OpenSSH of a Unix, by what it calls itself."""
    return "openssh" in version.lower() and _kind(version) is None


def other_server(host: Host, version: str, why: tuple[str, ...]) -> Failure:
    """The failure of a host whose server is another than OpenSSH, and does not run our commands.

    + version: what the server calls itself
    + why: what became of a command
    """
    kind = _kind(version)
    server = f"the SSH server is {kind}" if kind else "the SSH server is not OpenSSH"
    following = (
        "name the host itself, by the address and port of its OpenSSH (ssh_hostname, ssh_port); "
        "then"
    )
    if "dropbear" in version.lower():
        # MAX_CMD_LEN in sysoptions.h of Dropbear 2022.83.
        why = (*why, "Dropbear takes commands of up to 9,000 bytes, and ours carry programs")
        following = (
            "on the host, once it has booted: apt-get install openssh-server, and let it have "
            "Dropbear's port, or set ssh_port; then"
        )
    return Failure(
        Fault.LOGIN_UNUSABLE,
        f"{host.name}: {server}, and our commands do not run there",
        (*why, f"the server calls itself {version}; only OpenSSH was tried"),
        Again(following),
    )


def _user(host: Host) -> str:
    return str(host.data.get("ssh_user") or "the login")


def _kind(version: str) -> str | None:
    """What a server runs on, where its name tells."""
    return next((kind for sign, kind in _SERVERS if sign in version.lower()), None)


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


def look(host: Host) -> Do | None:
    """The login that shows the same by hand; None where there is no such command."""
    by_hand = login(host)
    return None if by_hand is None else Do(by_hand)
