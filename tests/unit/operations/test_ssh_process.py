"""Much data by a process of `ssh`: where it may be used, what it is told, how it ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rocminfra.bench.remote import CommandFailedError
from rocminfra.host_answers import BEGIN
from rocminfra.operations import ssh_process

MARK = f"printf '\\n%s\\n' '{BEGIN}'; "
KEY = SimpleNamespace(get_name=lambda: "ssh-ed25519", get_base64=lambda: "AAAAC3Nz")


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    """A connection to a port of this machine."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as connection,
    ):
        yield connection


def connector(sock: Any, **data: Any) -> Any:
    transport = SimpleNamespace(sock=sock, get_username=lambda: "ops")
    given = {
        "ssh_key": None,
        "ssh_password": None,
        "ssh_key_password": None,
        "ssh_config_file": None,
        "ssh_paramiko_connect_kwargs": None,
        "ssh_allow_agent": True,
        "ssh_look_for_keys": True,
        **data,
    }
    return SimpleNamespace(client=SimpleNamespace(get_transport=lambda: transport), data=given)


def test_ssh_is_told_where_the_open_connection_leads_and_its_key_only(
    peer: socket.socket, tmp_path: Path
) -> None:
    key = tmp_path / "a key"
    key.touch()
    line = ssh_process.command_line(connector(peer, ssh_key=str(key)), {"_sudo": True})
    assert line is not None
    assert line[1:3] == ["-F", "none"], "no file of the operator's adds to it"
    assert line[-1] == "127.0.0.1"
    (ciphers,) = (word for word in line if word.startswith("-oCiphers="))
    assert ciphers.startswith("-oCiphers=aes128-gcm@openssh.com,")
    port = peer.getpeername()[1]
    for option in (
        f"Port={port}",
        "User=ops",
        "BatchMode=yes",
        "IdentitiesOnly=yes",
    ):
        assert f"-o{option}" in line
    assert f'-oIdentityFile="{key}"' in line


@pytest.mark.parametrize(
    ("data", "arguments"),
    [
        ({"ssh_password": "hunter2"}, {}),
        ({"ssh_key_password": "hunter2"}, {}),
        ({"ssh_config_file": "ssh_config"}, {}),
        ({"ssh_paramiko_connect_kwargs": {"compress": True}}, {}),
        ({"ssh_key": "/nowhere/key"}, {}),
        ({}, {"_sudo_password": "hunter2"}),
        ({}, {"_use_sudo_password": True}),
        ({}, {"_env": {"TOKEN": "hunter2"}}),
    ],
)
def test_what_ssh_cannot_be_told_or_others_would_see_stays_with_the_open_connection(
    peer: socket.socket, data: dict[str, Any], arguments: dict[str, Any]
) -> None:
    assert ssh_process.command_line(connector(peer), {}) is not None
    assert ssh_process.command_line(connector(peer, **data), arguments) is None


def test_a_jump_host_stays_with_the_open_connection() -> None:
    assert ssh_process.command_line(connector(object()), {}) is None


def test_without_ssh_there_is_the_open_connection(
    peer: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert ssh_process.command_line(connector(peer), {}) is None


@pytest.fixture
def fake_ssh(tmp_path: Path) -> Path:
    """Runs the command here; keeps what it was told and the keys that it was to trust."""
    path = tmp_path / "ssh"
    path.write_text(
        "#!/bin/bash\n"
        f'printf "%s\\n" "$@" >{tmp_path}/told; echo $$ >{tmp_path}/pid\n'
        f"for word; do case $word in -oUserKnownHostsFile=*) cp ${{word#*=}} {tmp_path}/trusted;;"
        " esac; done\n"
        'exec sh -c "${!#}"\n'
    )
    path.chmod(0o755)
    return path


def opened(fake_ssh: Path, command: str, stdin: bytes = b"", stall_s: float = 5) -> Any:
    transport: Any = SimpleNamespace(get_remote_server_key=lambda: KEY)
    return ssh_process.stream(transport, [str(fake_ssh), "host"], command, stdin, stall_s)


def everything(reader: Any) -> bytes:
    return b"".join(iter(lambda: reader.read(1000), b""))


def test_what_stands_after_the_mark_is_read_and_the_open_connections_key_is_trusted(
    fake_ssh: Path, tmp_path: Path
) -> None:
    with opened(fake_ssh, f"echo Welcome; {MARK}cat", b"x" * 300_000) as reader:
        assert everything(reader) == b"x" * 300_000
    assert (tmp_path / "trusted").read_text() == "host ssh-ed25519 AAAAC3Nz\n"
    told = (tmp_path / "told").read_text().splitlines()
    assert "-oStrictHostKeyChecking=yes" in told
    assert "-oGlobalKnownHostsFile=/dev/null" in told


@pytest.mark.parametrize("command", ["exit 255", "echo Welcome; exit 1", "true"])
def test_without_the_mark_there_is_the_open_connection(fake_ssh: Path, command: str) -> None:
    with opened(fake_ssh, command) as reader:
        assert reader is None


@pytest.mark.parametrize(
    ("end", "error", "said"),
    [
        ("echo no room >&2; exit 3", CommandFailedError, "no room"),
        ("echo Broken pipe >&2; exit 255", ConnectionResetError, "Broken pipe"),
        ("kill -9 $$", ConnectionResetError, "the connection was lost"),
    ],
)
def test_how_it_ends_is_said_after_what_came(
    fake_ssh: Path, end: str, error: type[Exception], said: str
) -> None:
    with opened(fake_ssh, f"{MARK}echo some; {end}") as reader:
        assert reader.read(5) == b"some\n"
        with pytest.raises(error, match=said):
            reader.read(5)


def test_a_host_that_sends_nothing_is_left_and_no_process_stays(
    fake_ssh: Path, tmp_path: Path
) -> None:
    with (
        pytest.raises(TimeoutError, match="has sent nothing"),
        opened(fake_ssh, f"{MARK}exec sleep 60", stall_s=0.05) as reader,
    ):
        reader.read(5)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
