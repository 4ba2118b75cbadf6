"""Accounts that let somebody in and are of no use all the same: exit code 4, and the remedy."""

from __future__ import annotations

import errno
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from failing import next_of
from odd_ssh_server import Login, serving
from paramiko import AuthenticationException, ProxyCommandFailure, SSHException
from paramiko.ssh_exception import NoValidConnectionsError

from rocminfra.failure import ExitCode, FailedError

FISH = "fish: Unexpected ')' for unopened parenthesis\n"
TCSH = "d: Event not found.\nUnmatched '''.\n"
LOGIN_AS = 'Please login as the user "ubuntu" rather than the user "root".\n'
EXPIRED = "WARNING: Your password has expired.\nPassword change required but no TTY available.\n"


@pytest.fixture
def planned(runner: Any, tmp_path: Path) -> Callable[[Login], Any]:
    """What a plan makes of an account."""
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    runner.environ["HOME"] = str(tmp_path)
    runner.write("")

    def plan(login: Login) -> Any:
        with serving(login) as port:
            data = {
                "ssh_hostname": "127.0.0.1",
                "ssh_port": port,
                "ssh_user": "ops",
                "ssh_key": str(key),
                "ssh_allow_agent": False,
                "ssh_strict_host_key_checking": "accept-new",
                "ssh_known_hosts_file": str(tmp_path / "known"),
            }
            runner.hosts = {"away": data}
            (host,) = runner("plan").hosts
        assert "Traceback" not in "\n".join(runner.lines)
        return host

    return plan


def test_a_plain_account_is_used(planned: Callable[[Login], Any]) -> None:
    assert planned(Login()).failures == ()


def test_as_many_sessions_as_a_run_needs_are_enough(planned: Callable[[Login], Any]) -> None:
    assert planned(Login(sessions=3)).failures == ()


@pytest.mark.parametrize("sessions", [0, 1, 2])
def test_too_few_sessions(planned: Callable[[Login], Any], worker: Any, sessions: int) -> None:
    before = worker("waiting", "SESSIONS_WITHIN_S", 0.3)
    try:
        (failure,) = planned(Login(sessions=sessions)).failures
    finally:
        worker("waiting", "SESSIONS_WITHIN_S", before)
    assert failure.kind is ExitCode.UNREACHABLE
    assert "fewer than 3 sessions" in failure.what
    assert "MaxSessions 10; systemctl reload ssh" in next_of(failure)


@pytest.mark.parametrize(
    ("said", "what", "remedy"),
    [
        ((127, "", FISH), "the login shell of ops is fish", "chsh -s /bin/bash ops"),
        ((0, "", FISH), "the login shell of ops is fish", "chsh -s /bin/bash ops"),
        ((1, "", TCSH), "the login shell of ops is csh or tcsh", "chsh -s /bin/bash ops"),
        ((142, LOGIN_AS, ""), "ops is not the user to log in as", "log in as ubuntu"),
        ((1, "", EXPIRED), "the password of ops has expired", "chage -d"),
        (
            (1, "This service allows sftp connections only.\n", ""),
            "only transfer files",
            "ssh_user",
        ),
        ((1, "This account is currently not available.\n", ""), "cannot run commands", "ssh "),
        ((0, "Welcome\n", ""), "ends before it runs a command", "~/.bashrc"),
    ],
)
def test_what_is_said_instead_of_an_answer(
    planned: Callable[[Login], Any], said: tuple[int, str, str], what: str, remedy: str
) -> None:
    (failure,) = planned(Login(said=said)).failures
    assert failure.kind is ExitCode.UNREACHABLE
    assert what in failure.what
    assert remedy in next_of(failure)
    assert set("".join(said[1:]).splitlines()) <= set(failure.why)


def test_a_shell_that_changes_quoted_text_is_shown_what_it_made(
    planned: Callable[[Login], Any],
) -> None:
    answer = "\n--- rocminfra: answer ---\na\\b'c !d $e\nf\n\n--- rocminfra: end ---\n"
    (failure,) = planned(Login(said=(0, answer, ""))).failures
    assert "the login shell of ops is not like sh" in failure.what
    assert "chsh -s /bin/bash ops" in next_of(failure)


def test_what_writes_for_ever_is_given_up(planned: Callable[[Login], Any], worker: Any) -> None:
    before = worker("waiting", "TIMEOUT_S", 1.0)
    try:
        (failure,) = planned(Login(noise=True)).failures
    finally:
        worker("waiting", "TIMEOUT_S", before)
    assert failure.kind is ExitCode.UNREACHABLE
    assert "does not end a command within 1 s" in failure.what
    assert "goes on writing" in failure.why[0]


def test_what_writes_into_an_answer_is_named(planned: Callable[[Login], Any]) -> None:
    text = "a\\\\b\\'c !d $e\nlate\nf\n"
    answer = f"\n--- rocminfra: answer ---\n{text}\n--- rocminfra: end ---\n"
    (failure,) = planned(Login(said=(0, answer, ""))).failures
    assert failure.kind is ExitCode.UNREACHABLE
    assert "writes into answers" in failure.what
    assert failure.why == ("late",)
    assert "case $- in *i*)" in next_of(failure)


def test_what_writes_long_after_an_answer_is_named(
    planned: Callable[[Login], Any], worker: Any
) -> None:
    before = worker("waiting", "GOODBYE_S", 0.1)
    try:
        (failure,) = planned(Login(late=0.4)).failures
    finally:
        worker("waiting", "GOODBYE_S", before)
    assert failure.kind is ExitCode.UNREACHABLE
    assert "writes into answers" in failure.what
    assert failure.why == ("late",)


BURST = "for i in 1 2 3; do echo burst; done"


@pytest.mark.parametrize(
    "startup",
    [
        # After this answer, and in the middle of a slower one.
        f"(sleep 0.3; {BURST}) &",
        f"(sleep 0.3; {BURST}) & trap 'echo logout' EXIT",
        "(for i in 1 2 3 4; do sleep 0.1; printf 'burst\\n'; done) &",
        # Before this answer on a slow host: the greeting is a reason to look again.
        f"(sleep 0.2; {BURST}) & [ -e ASKED ] || {{ touch ASKED; wait; }}",
        "(sleep 0.3; printf burst) & trap 'echo logout' EXIT",
    ],
)
def test_what_writes_less_than_a_second_after_an_answer_is_named(
    planned: Callable[[Login], Any], worker: Any, tmp_path: Path, startup: str
) -> None:
    startup = startup.replace("ASKED", str(tmp_path / "asked"))
    # On a busy machine two sleeps do not end in their order when they are close.
    limits = {"GOODBYE_S": 0.6, "GREETED_S": 0.8}
    before = {name: worker("waiting", name, seconds) for name, seconds in limits.items()}
    try:
        (failure,) = planned(Login(startup=startup)).failures
    finally:
        for name, seconds in before.items():
            worker("waiting", name, seconds)
    assert failure.kind is ExitCode.UNREACHABLE
    assert "what the login shell of ops leaves running writes into answers" in failure.what
    assert set(failure.why) == {"burst"}
    assert "case $- in *i*)" in next_of(failure)


@pytest.mark.parametrize(
    "startup",
    [
        "echo Welcome; printf 'news: none'; trap 'echo logout' EXIT",
        "trap 'sleep 0.2; echo logout' EXIT",
        # It holds the session open, and writes nothing.
        "sleep 0.3 &",
    ],
)
def test_a_greeting_and_a_goodbye_are_no_trouble(
    planned: Callable[[Login], Any], startup: str
) -> None:
    assert planned(Login(startup=startup)).failures == ()


def test_what_holds_every_session_open_is_named(
    planned: Callable[[Login], Any], worker: Any
) -> None:
    before = worker("waiting", "TIMEOUT_S", 2.0)
    try:
        (failure,) = planned(Login(startup="sleep 4.5 & trap 'echo logout' EXIT")).failures
    finally:
        worker("waiting", "TIMEOUT_S", before)
    assert failure.kind is ExitCode.UNREACHABLE
    assert "the login shell of ops leaves running holds every session open" in failure.what
    assert failure.why == ("a command had answered, and its session did not end within 2 s",)
    assert "</dev/null >/dev/null 2>&1 &" in next_of(failure)


@pytest.mark.parametrize("most", [9_000, 60_000])
def test_a_server_that_takes_no_long_command_is_named_before_anything_else(
    planned: Callable[[Login], Any], most: int
) -> None:
    login = Login(calls_itself="SSH-2.0-dropbear_2022.83", most_command=most)
    (failure,) = planned(login).failures
    assert failure.kind is ExitCode.UNREACHABLE
    assert "the SSH server is Dropbear" in failure.what
    assert "apt-get install openssh-server" in next_of(failure)


def test_a_server_of_another_kind_that_does_all_that_is_wanted_is_used(
    planned: Callable[[Login], Any],
) -> None:
    assert planned(Login(calls_itself="SSH-2.0-Go")).failures == ()


def test_nobody_is_asked_for_a_second_factor_without_a_terminal(
    planned: Callable[[Login], Any],
) -> None:
    (failure,) = planned(Login(second_factor=True)).failures
    assert failure.kind is ExitCode.UNREACHABLE
    assert any("second factor" in line for line in failure.why), failure.why


@pytest.mark.parametrize(
    ("error", "words", "command"),
    [
        (
            NoValidConnectionsError({("203.0.113.9", 22): OSError(errno.EHOSTUNREACH, "No route")}),
            "no way to that address",
            "ssh ",
        ),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "no way to that address", "ssh "),
        (
            NoValidConnectionsError({("203.0.113.9", 22): OSError(errno.ECONNREFUSED, "refused")}),
            "nothing listens",
            "ssh ",
        ),
        (SSHException("No authentication methods available"), "no key to log in with", "ssh "),
        (
            AuthenticationException("Authentication failed: transport shut down or saw EOF"),
            "second factor",
            "ssh -v ",
        ),
        (ProxyCommandFailure("nc x 22", "Broken pipe"), "ProxyCommand", "ssh -v "),
        (socket.gaierror(-2, "Name or service not known"), "resolver", "ssh "),
        (TimeoutError("timed out"), "nothing answers", "ssh "),
    ],
)
def test_what_connecting_raises(worker: Any, error: Exception, words: str, command: str) -> None:
    failure = worker("not_reached", error)
    assert failure.kind is ExitCode.UNREACHABLE
    assert any(words in line for line in failure.why), failure.why
    assert next_of(failure).startswith(command)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("ssh_key", None, "away: ssh_key: must be a text, not nothing (null)"),
        ("ssh_port", "2x", "away: ssh_port: must be a whole number"),
        ("ssh_password", None, "Invalid connector data `ssh_password`"),
    ],
)
def test_connection_data_of_an_inventory_in_python_is_refused_before_anything_connects(
    runner: Any, key: str, value: object, words: str
) -> None:
    runner.write("")
    runner.hosts = {"away": {"ssh_hostname": "127.0.0.1", "ssh_port": 1, key: value}}
    with pytest.raises(FailedError) as caught:
        runner("plan")
    failure = caught.value.failure
    assert failure.kind is ExitCode.SETTINGS
    assert words in "\n".join((failure.what, *failure.why))
