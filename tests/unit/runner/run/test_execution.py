"""What an exception of one host's becomes."""

from __future__ import annotations

from typing import Any


def test_a_file_that_another_includes_and_that_raises_is_named(runner: Any) -> None:
    runner.write("from pyinfra import local\nlocal.include('inner.py')\n")
    runner.write("raise ValueError('wrong here')\n", "inner.py")
    (host,) = runner("plan").hosts
    (failure,) = host.failures
    assert "inner.py: ValueError: wrong here" in failure.what
