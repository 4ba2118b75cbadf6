"""Practice droplets for tests: made once a session, or for one test; always taken away."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import bench_droplets
import lab_host
import pytest
from lab_host import LabHost

from rocminfra.lab.droplets import Wanted


@pytest.fixture(scope="session")
def droplet() -> Iterator[LabHost]:
    """A droplet that tests share: leave it as it was found."""
    (host,) = lab_host.up(["one"])
    yield host
    lab_host.down(host.name)


@pytest.fixture(scope="session")
def lab_pair() -> Iterator[tuple[LabHost, LabHost]]:
    """Two droplets that tests share."""
    first, second = lab_host.up(["a", "b"])
    yield first, second
    for host in (first, second):
        lab_host.down(host.name)


@pytest.fixture(scope="session")
def bench_hosts() -> Iterator[tuple[LabHost, ...]]:
    """Two droplets on which stand-ins for the engine and GuideLLM run."""
    hosts = bench_droplets.up("bench-a", "bench-b")
    yield hosts
    for host in hosts:
        lab_host.down(host.name)


@pytest.fixture
def bench_host(bench_hosts: tuple[LabHost, ...]) -> LabHost:
    """The first of them, on which GuideLLM's stand-in does as it should and was never called."""
    bench_droplets.set_modes(bench_hosts[0])
    bench_hosts[0].ok(f"rm -f {bench_droplets.PLACE}/bin/calls {bench_droplets.PLACE}/bin/go-on")
    return bench_hosts[0]


@pytest.fixture
def benchmark(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a benchmark of three points of a second."""
    return bench_droplets.starter(tmp_path)


@pytest.fixture
def new_droplets() -> Iterator[Callable[..., tuple[LabHost, ...]]]:
    """Makes droplets of one test's own: ``new_droplets(2, Wanted(...))``."""
    made: list[LabHost] = []

    def make(count: int = 1, wanted: Wanted | None = None) -> tuple[LabHost, ...]:
        names = [f"own-{next(_NUMBERS)}" for _ in range(count)]
        hosts = lab_host.up(names, wanted)
        made.extend(hosts)
        return hosts

    yield make
    for host in made:
        lab_host.down(host.name)


def pytest_sessionstart() -> None:
    lab_host.remove_ours()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A droplet that a test leaves behind fails the run, and is taken away."""
    found = lab_host.remove_ours()
    if found:
        print("\nleft behind by tests:", *found, sep="\n    ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_NUMBERS = itertools.count(1)
