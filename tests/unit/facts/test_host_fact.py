"""The base of our facts."""

from __future__ import annotations

import pytest
from pyinfra.api.exceptions import FactProcessError

from rocminfra.facts.system import KernelSetting
from rocminfra.host_answers import framed


def test_what_a_login_shell_says_is_not_the_answer() -> None:
    fact = KernelSetting()
    command = str(fact.command("kernel.numa_balancing"))
    assert command.startswith(framed("x").split("x")[0][:10])
    answer = [
        "Welcome to this machine",
        "--- rocminfra: answer ---",
        "1",
        "",
        "--- rocminfra: end ---",
    ]
    assert fact.process([*answer, "bye"]) == "1"


def test_chatter_alone_is_no_answer() -> None:
    fact = KernelSetting()
    fact.command("kernel.numa_balancing")
    with pytest.raises(FactProcessError, match="Welcome"):
        fact.process(["Welcome to this machine"])
