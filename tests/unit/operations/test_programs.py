"""Programs are there after the installation, or the host's run ends with the package named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from failing import next_of
from pyinfra import state

from rocminfra.facts.packages import InstalledPackages
from rocminfra.facts.programs import HostPrograms
from rocminfra.failure import ExitCode
from rocminfra.operations.programs import ensure
from rocminfra.planning.programs import XFS, Need, docker, virtual_environments


class Ensure:
    """Makes an operation's function of it, for the fixture ``run``."""

    _inner = staticmethod(ensure)


def later(scripted: Any, *answers: frozenset[str]) -> None:
    """What the host has at each look; the last answer stays."""
    waiting: Iterator[frozenset[str]] = iter(answers)
    known: list[frozenset[str]] = []

    def ask(**_: Any) -> frozenset[str]:
        known.append(next(waiting, known[-1] if known else frozenset()))
        return known[-1]

    scripted.facts[HostPrograms] = ask


@pytest.fixture
def executing(scripted: Any) -> Any:
    state.is_executing = True
    return scripted


def test_a_program_that_is_there_needs_no_package(scripted: Any, run: Callable[..., Any]) -> None:
    """However it came there: from source, a vendor's archive, another package."""
    scripted.facts[HostPrograms] = frozenset({"mkfs.xfs"})
    assert run(Ensure, need=XFS).commands == []


def test_a_plan_does_not_look_for_what_is_not_installed_yet(
    scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts.update({HostPrograms: frozenset(), InstalledPackages: frozenset()})
    outcome = run(Ensure, need=XFS)
    assert "xfsprogs" in outcome.shell[0]
    assert outcome.failure is None


def test_what_is_there_after_the_installation_is_right(
    executing: Any, run: Callable[..., Any]
) -> None:
    executing.facts[InstalledPackages] = frozenset()
    later(executing, frozenset(), frozenset({"docker", "dockerd"}))
    assert run(Ensure, need=docker("docker.io", apparmor=False)).failure is None


@pytest.mark.parametrize(
    ("need", "found", "installed", "what"),
    [
        (
            docker("docker.io", apparmor=False),
            {"dockerd"},
            {"docker.io", "ca-certificates", "xz-utils"},
            "not on the host although docker.io, ca-certificates, xz-utils are installed: docker",
        ),
        (
            docker("podman-docker", apparmor=False),
            {"docker"},
            {"podman-docker"},
            "not on the host although podman-docker is installed: dockerd",
        ),
        (XFS, set(), {"xfsprogs"}, "not on the host although xfsprogs is installed: mkfs.xfs"),
        (
            virtual_environments((3, 12)),
            {"python3 -m venv"},
            {"python3-venv"},
            "not on the host although python3-venv is installed: python3 -m ensurepip",
        ),
    ],
)
def test_what_is_missing_after_the_installation_fails_the_host_by_name(
    executing: Any,
    run: Callable[..., Any],
    need: Need,
    found: set[str],
    installed: set[str],
    what: str,
) -> None:
    executing.facts.update(
        {HostPrograms: frozenset(found), InstalledPackages: frozenset(installed)}
    )
    failure = run(Ensure, need=need).failure
    assert failure.kind is ExitCode.UNFIT
    assert failure.what == what
    first = next(iter(need.packages))
    assert f"apt-get install --reinstall {first}" in next_of(failure)
