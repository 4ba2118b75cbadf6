"""SSH to a droplet: what a machine shows first, and commands by the ssh program."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
import pytest

from rocminfra.droplets import ssh_reach
from rocminfra.droplets.cloud import Login
from rocminfra.droplets.ssh_reach import SshReach, ssh_command


@contextmanager
def listening(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[socket.socket], None]
) -> Iterator[None]:
    """A machine on loopback that does this with its first connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(ssh_reach, "SSH_PORT", server.getsockname()[1])

        def accept() -> None:
            connection, _ = server.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield
        thread.join(10)


def test_the_key_that_a_machine_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    key = paramiko.ECDSAKey.generate()

    def serve(connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(key)
        transport.start_server(
            event=(event := threading.Event()), server=paramiko.ServerInterface()
        )
        event.wait(10)
        transport.join(5)

    with listening(monkeypatch, serve):
        shown = SshReach().host_key("127.0.0.1")
    assert shown == f"{key.get_name()} {key.get_base64()}"


def test_a_machine_that_does_not_listen_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setattr(ssh_reach, "SSH_PORT", port)
    with pytest.raises(OSError, match="refused"):
        SshReach().host_key("127.0.0.1")


def test_one_that_hangs_up_and_one_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_reach, "CONNECT_S", 0.5)
    with listening(monkeypatch, lambda _connection: None), pytest.raises(OSError, match=r"\S"):
        SshReach().host_key("127.0.0.1")
    released = threading.Event()
    with listening(monkeypatch, lambda _connection: released.wait(20) and None):
        with pytest.raises(OSError, match=r"\S"):
            SshReach().host_key("127.0.0.1")
        released.set()


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program called ssh before the real one."""

    def write(script: str) -> None:
        program = tmp_path / "ssh"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return write


LOGIN = Login("203.0.113.10", Path("/state/known_hosts/1"), "/keys/id")


def test_a_command_and_what_came_of_it(ssh: Callable[[str], None]) -> None:
    ssh('printf "%s\\n" "$@"; echo complaint >&2; exit 3')
    ran = SshReach().run(LOGIN, "cloud-init status", 5)
    assert (ran.code, ran.err) == (3, "complaint\n")
    words = ran.out.splitlines()
    assert words[-2:] == ["root@203.0.113.10", "cloud-init status"]
    assert "BatchMode=yes" in words


def test_one_that_takes_too_long_is_no_answer(ssh: Callable[[str], None]) -> None:
    ssh("exec sleep 30")
    ran = SshReach().run(LOGIN, "true", 0.3)
    assert ran.code == 255
    assert "no answer within" in ran.err


def test_nothing_is_taken_on_trust() -> None:
    words = ssh_command(LOGIN)
    for option in (
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/state/known_hosts/1",
        "GlobalKnownHostsFile=none",
        "IdentitiesOnly=yes",
    ):
        assert option in words
    assert "BatchMode=yes" not in words  # a person may type a passphrase
