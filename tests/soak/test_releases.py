"""Deploys on the releases that `make test` leaves out, and what they cannot do."""

from __future__ import annotations

from collections.abc import Iterator

import lab_host
import pytest
from deploys import IDENTITY, Twice, check_twice, deploy_twice, rocminfra

from rocminfra.lab.droplets import Wanted

pytestmark = [pytest.mark.soak, pytest.mark.lab]


@pytest.fixture(scope="module", params=["bullseye", "trixie"])
def twice(request: pytest.FixtureRequest) -> Iterator[Twice]:
    (host,) = lab_host.up([request.param], Wanted(release=request.param))
    try:
        yield deploy_twice(host)
    finally:
        lab_host.down(host.name)


def test_a_deploy_serves_and_a_second_one_changes_nothing(twice: Twice) -> None:
    check_twice(twice)


@pytest.mark.parametrize("user", ["root", "ops"])
def test_a_third_run_as_anybody_changes_nothing_either(
    twice: Twice, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCMINFRA_LAB_USER", user)
    run = rocminfra(twice.host, "plan", "--exit-code")
    assert run.code == 0, run.err + run.out


def test_a_reset_disk_is_deployed_again(twice: Twice) -> None:
    """With Docker there already, and its data gone."""
    host = twice.host
    lab_host.reset_disk(host.name)
    run = rocminfra(host, "apply", "-y")
    assert run.code == 0, run.err
    again = rocminfra(host, "plan", "--exit-code")
    assert again.code == 0, again.out


def test_a_benchmark_is_refused_before_any_change_where_python_is_too_old(twice: Twice) -> None:
    host = twice.host
    if host.droplet.release != "bullseye":
        assert host.ok("python3 -c 'import sys; print(sys.version_info >= (3, 10))'") == "True\n"
        return
    look = f"{IDENTITY}; find /opt /usr/local /var/lib/dpkg -printf '%p|%m|%C@\\n' | sort"
    before = host.ok(look)
    run = rocminfra(host, "bench", "--scenario", "smoke")
    assert run.code == 6, run.err
    assert "GuideLLM 0.8.1 needs Python 3.10 or newer" in run.err
    assert "has 3.9" in run.err
    assert run.err.strip().splitlines()[-1].startswith("next: benchmark a host with Debian 12")
    assert host.ok(look) == before
