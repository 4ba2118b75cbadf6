"""Hosts without SSH, and a cache of their own for every test."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_host import Wire, local_ssh_client
from pyinfra.api import connectors, inventory
from pyinfra.connectors import ssh

from rocminfra.connectors.batched_ssh import BatchedSSHConnector


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def wire(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """The wire to hosts of our connector, which need not be installed for that."""
    wire = Wire()
    monkeypatch.setattr(ssh, "SSHClient", local_ssh_client(wire))
    known = {**connectors.get_all_connectors(), "rocminfra": BatchedSSHConnector}
    monkeypatch.setattr(inventory, "get_all_connectors", lambda: known)
    monkeypatch.setattr(inventory, "get_execution_connectors", lambda: known)
    return wire
