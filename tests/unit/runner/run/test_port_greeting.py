"""What a port says that does not speak SSH."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from rocminfra.runner.run import port_greeting


def test_a_port_that_cannot_be_connected_to_any_more_is_not_called_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(*_: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", late)
    assert port_greeting.described("203.0.113.10", 22) is None
