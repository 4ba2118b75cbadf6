"""Connection trouble is told from other trouble, and says what to do: exit code 4."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from failing import next_of

from rocminfra.failure import ExitCode


@pytest.fixture(autouse=True)
def _place(runner: Any, tmp_path: Path) -> None:
    runner.environ["HOME"] = str(tmp_path)
    runner.write("")


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on the loopback that does this with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def failure_of(runner: Any, **data: Any) -> Any:
    runner.hosts = {"away": {"ssh_hostname": "127.0.0.1", "ssh_allow_agent": False, **data}}
    result = runner("plan")
    (host,) = result.hosts
    assert host.state.value == "unreachable"
    (failure,) = host.failures
    assert failure.kind is ExitCode.UNREACHABLE
    assert "Traceback" not in "\n".join((*failure.why, *runner.lines))
    assert next_of(failure)
    return failure


def hang_up(connection: socket.socket) -> None:
    connection.recv(1)


def other_protocol(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 50)
    connection.recv(4096)


def one_line(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example ESMTP\r\n")
    connection.recv(4096)


def ssh_that_ends(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    connection.recv(4096)


def alert(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"\x15\x03\x01\x00\x02\x02\x16")


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


@pytest.mark.parametrize(
    ("answer", "words", "following"),
    [
        (hang_up, "hangs up without a word", "ssh -v -p "),
        (silent, "nothing is said there", "ssh -v -p "),
        (ssh_that_ends, "the server hung up", "ssh -v -p "),
        (other_protocol, "speaks HTTP ('HTTP/1.1 400 Bad Request')", "set ssh_port (Port"),
        (one_line, "another protocol ('220 mail.example ESMTP')", "set ssh_port (Port"),
        (alert, "speaks TLS, as HTTPS does", "set ssh_port (Port"),
    ],
)
def test_something_else_than_a_server(
    runner: Any, answer: Callable[[socket.socket], None], words: str, following: str
) -> None:
    patience = {"banner_timeout": 1}
    with server(answer) as port:
        failure = failure_of(runner, ssh_port=port, ssh_paramiko_connect_kwargs=patience)
    assert any(words in line for line in failure.why), failure.why
    assert next_of(failure).startswith(following)


def test_something_else_by_its_name_in_the_ssh_configuration(runner: Any, tmp_path: Path) -> None:
    direct_file, behind_file = tmp_path / "direct", tmp_path / "behind"
    with server(other_protocol) as port:
        plain = "Host web\n  HostName 127.0.0.1\n  Port 1\n"
        direct_file.write_text(plain)
        behind_file.write_text(f"{plain}  ProxyCommand echo no SSH\n")
        data = {"ssh_hostname": "web", "ssh_port": port}
        direct = failure_of(runner, ssh_config_file=str(direct_file), **data)
        behind = failure_of(runner, ssh_config_file=str(behind_file), **data)
    assert any("speaks HTTP" in line for line in direct.why), direct.why
    assert "Port in an ssh configuration" in next_of(direct)
    assert not any("speaks HTTP" in line for line in behind.why), behind.why


def test_nothing_listens(runner: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    failure = failure_of(runner, ssh_port=port)
    assert any("nothing listens on that port" in line for line in failure.why)


def test_a_name_that_nobody_knows(runner: Any) -> None:
    failure = failure_of(runner, ssh_hostname="no-such-host.invalid", ssh_port=22)
    assert any("resolver (ssh_hostname)" in line for line in failure.why)


@pytest.mark.parametrize("text", ["Port many\n", "Host\n", "ProxyJump none\n", "\0\n"])
def test_a_configuration_that_pyinfra_stumbles_over_is_no_traceback(
    runner: Any, tmp_path: Path, text: str
) -> None:
    (tmp_path / "config").write_text(f"Host *\n  {text}")
    failure = failure_of(runner, ssh_port=1, ssh_config_file=str(tmp_path / "config"))
    assert f"ssh -F {tmp_path}/config" in next_of(failure)


@pytest.mark.parametrize(
    ("status", "said", "sudo", "what", "remedy"),
    [
        (1, ["sudo: sorry, you must have a tty to run sudo"], True, "terminal", "!requiretty"),
        (1, ["sudo: a password is required"], True, "asks ops for a password", "NOPASSWD"),
        (1, ["sudo-rs: interactive authentication is required"], True, "password", "NOPASSWD"),
        (
            1,
            ["sudo: a terminal is required to read the password", "sudo: a password is required"],
            True,
            "password",
            "NOPASSWD",
        ),
        (1, ["ops is not in the sudoers file.", "sudo: x"], True, "everything", "ssh_user: root"),
        (127, ["bash: line 1: sudo: command not found"], True, "no sudo", "ssh_user: root"),
        (0, ["Welcome"], False, "ends before it runs a command", "case $- in *i*)"),
        (0, [], False, "ends before it runs a command", "~/.bashrc"),
        (1, ["This account is currently not available."], False, "cannot run commands", "ssh"),
        (-1, ['Please login as the user "ubuntu".'], False, "cannot run commands", "ssh"),
    ],
)
def test_a_host_that_runs_no_commands(
    worker: Any, status: int, said: list[str], sudo: bool, what: str, remedy: str
) -> None:
    failure = worker("judged", status, said, "SSH-2.0-OpenSSH_9.2p1", sudo)
    assert failure.kind is ExitCode.UNREACHABLE
    assert what in failure.what
    assert remedy in next_of(failure)
    assert set(said[-5:]) <= set(failure.why)


WINDOWS = "'sh' is not recognized as an internal or external command,"


@pytest.mark.parametrize(
    ("version", "said", "what", "remedy"),
    [
        ("SSH-2.0-ROSSSH", "bad command name sh", "a router of MikroTik", "ssh_hostname"),
        ("SSH-2.0-Cisco-1.25", "Line has invalid autocommand", "a device of Cisco", "ssh_port"),
        ("SSH-2.0-OpenSSH_for_Windows_9.5", WINDOWS, "a Windows machine", "ssh_hostname"),
        ("SSH-2.0-dropbear_2022.83", "", "is Dropbear", "apt-get install openssh-server"),
        ("SSH-2.0-AWS_SFTP_1.1", "", "a server for files only", "ssh_hostname"),
        ("SSH-2.0-xyz", "no such command", "is not OpenSSH", "ssh_hostname"),
    ],
)
@pytest.mark.parametrize("sudo", [False, True])
def test_a_server_of_another_kind_says_so(
    worker: Any, version: str, said: str, what: str, remedy: str, sudo: bool
) -> None:
    failure = worker("judged", 1, [said] if said else [], version, sudo)
    assert failure.kind is ExitCode.UNREACHABLE
    assert what in failure.what
    assert remedy in next_of(failure)
    assert "ssh -" not in next_of(failure)
    assert f"the server calls itself {version}; only OpenSSH was tried" in failure.why
    assert "a command of sh ended with exit status 1" in failure.why
