"""The gate before the first operation: it waits in the open, and refuses by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rocminfra.connectors.allowlist import arguments_allowed
from rocminfra.facts.fresh_host import FreshHost
from rocminfra.failure import Do, ExitCode
from rocminfra.operations import fresh_host, packages
from rocminfra.operations.host_failures import failures
from rocminfra.planning.fresh_host import APT_S, AptHolder, Container, Observed

APT = Observed(apt=(AptHolder(7, "apt-get upgrade", "/var/lib/dpkg/lock"),))
BOOTING = Observed(cloud_init="running")


class Waiting(fresh_host.Time):
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.at = 0.0
        super().__init__(lambda: self.at, self.pass_)

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def pass_(self, seconds: float) -> None:
        self.at += seconds


def looks(*seen: Observed) -> Callable[..., Observed]:
    left = list(seen)

    def look(asked_at: float | None = None) -> Observed:
        del asked_at
        return left.pop(0) if len(left) > 1 else left[0]

    return look


def test_a_machine_that_boots_is_waited_for_in_the_open(scripted: Any) -> None:
    scripted.facts[FreshHost] = looks(BOOTING, BOOTING, APT, Observed())
    fresh_host.gate(clock=Waiting())
    assert failures(scripted) == ()
    assert scripted.logged == [
        "waiting: cloud-init is 'running' (0 s of 1200 s)",
        "waiting: cloud-init is 'running' (5 s of 1200 s)",
        "waiting: apt-get upgrade (pid 7) holds /var/lib/dpkg/lock (10 s of 900 s)",
    ]
    # Every look is a new one: an answer that was fetched with others is minutes old.
    arguments = [given for fact, given in scripted.asked if fact is FreshHost]
    assert arguments == [{}, {"asked_at": 5.0}, {"asked_at": 10.0}, {"asked_at": 15.0}]


def test_it_is_asked_once_a_run(scripted: Any) -> None:
    scripted.facts[FreshHost] = looks(Observed())
    fresh_host.gate()
    fresh_host.gate()
    assert len(scripted.asked) == 1


def test_a_wait_has_an_end(scripted: Any) -> None:
    scripted.facts[FreshHost] = looks(APT)
    clock = Waiting()
    fresh_host.gate(clock=clock)
    (failure,) = failures(scripted)
    assert failure.kind is ExitCode.NOT_READY
    assert "pid 7" in failure.why[0]
    assert clock.at == pytest.approx(APT_S, abs=10)


def test_a_strangers_container_takes_the_host_out(scripted: Any) -> None:
    item = Container("rocm", "rocm/vllm", (), (8000,), False, True)
    scripted.facts[FreshHost] = Observed(containers=(item,))
    scripted.data.update(ssh_user="root", ssh_hostname="203.0.113.10")
    fresh_host.gate(engine="vllm-a", port=8000)
    (failure,) = failures(scripted)
    assert failure.kind is ExitCode.UNFIT
    assert failure.next == Do("ssh root@203.0.113.10 docker rm --force rocm")


def test_packages_alone_wait_as_well(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[packages.InstalledPackages] = frozenset()
    item = Container("rocm", "rocm/vllm", (), (8000,), False, True)
    scripted.facts[FreshHost] = Observed(containers=(item,))
    outcome = run(packages.present, packages=["xfsprogs"])
    assert outcome.failure is not None
    assert outcome.shell == []


def test_only_the_first_look_may_be_fetched_before_it_is_wanted() -> None:
    assert arguments_allowed(FreshHost, {})
    assert not arguments_allowed(FreshHost, {"asked_at": 5.0})
