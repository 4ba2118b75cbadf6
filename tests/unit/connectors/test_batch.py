"""A batch whose connection goes away."""

from __future__ import annotations

from typing import Any

import pytest
from paramiko import SSHException

from rocminfra.connectors.batch import Batch, Limits


class Lost:
    """A connection that ends as soon as something is said on it, as Dropbear's does."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def open_session(self, timeout: float) -> Lost:
        return self

    def settimeout(self, seconds: float) -> None:
        pass

    def exec_command(self, command: str) -> None:
        raise self.error

    def close(self) -> None:
        raise self.error


@pytest.mark.parametrize("error", [EOFError(), SSHException("closed"), OSError(9, "Bad file")])
def test_a_connection_that_is_lost_leaves_no_answer_and_no_traceback(error: Exception) -> None:
    lost: Any = Lost(error)
    batch = Batch(lost, ["true"], "h1", Limits())
    assert batch.answer("true") is None
    batch._reader.join()
    assert batch._reader.successful()
    batch.cancel()
