"""Names in an inventory, and connections that a server drops at first."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_host import Run, Wire
from paramiko import SSHException
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors import ssh

from rocminfra.connectors import batched_ssh


def test_the_host_keeps_its_plain_name() -> None:
    assert list(batched_ssh.BatchedSSHConnector.make_names_data("203.0.113.7")) == [
        ("203.0.113.7", {}, [])
    ]


def test_the_connector_is_an_entry_point() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    entry = 'rocminfra = "rocminfra.connectors.batched_ssh:BatchedSSHConnector"'
    assert f'[project.entry-points."pyinfra.connectors"]\n{entry}' in text


def test_a_missing_banner_is_tried_again_until_there_is_one(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, slept = ssh.SSHClient, []
    refusals = [SSHException("Error reading SSH protocol banner"), EOFError()]

    class Refusing(client):  # type: ignore[misc, valid-type]
        def connect(self, hostname: str, **kwargs: object) -> None:
            if refusals:
                raise refusals.pop()

    monkeypatch.setattr(ssh, "SSHClient", Refusing)
    monkeypatch.setattr(batched_ssh.time, "sleep", slept.append)
    with Run() as run:
        assert run.host.connected
    assert len(slept) == 2


def test_a_banner_that_never_comes_ends_with_pyinfras_own_error(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    class Refusing:
        def connect(self, hostname: str, **kwargs: object) -> None:
            tries.append(hostname)
            raise SSHException("Error reading SSH protocol banner")

    monkeypatch.setattr(ssh, "SSHClient", Refusing)
    monkeypatch.setattr(batched_ssh.time, "sleep", lambda _: None)
    run = Run()
    with pytest.raises(ConnectError, match="protocol banner"):
        run.host.connect(raise_exceptions=True, show_errors=False)
    assert len(tries) == batched_ssh.BANNER_TRIES


def test_other_connection_errors_are_not_tried_again(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    class Refusing:
        def connect(self, hostname: str, **kwargs: object) -> None:
            tries.append(hostname)
            raise ConnectionRefusedError("no")

    monkeypatch.setattr(ssh, "SSHClient", Refusing)
    run = Run()
    with pytest.raises(ConnectError):
        run.host.connect(raise_exceptions=True, show_errors=False)
    assert len(tries) == 1
