"""A task that runs alone, on a host where the tasks before it have not been."""

from __future__ import annotations

from typing import Any

import pytest
from failing import next_of
from pyinfra import state

from rocminfra.facts.docker import DockerInstalled
from rocminfra.facts.docker_configuration import DockerConfiguration
from rocminfra.facts.release import HostRelease
from rocminfra.facts.scratch_mount import ScratchMount, ScratchMountStatus
from rocminfra.failure import ExitCode
from rocminfra.operations import prerequisites
from rocminfra.operations.host_failures import failures
from rocminfra.planning.docker.observation import DockerSeen
from rocminfra.planning.releases import OsRelease

UBUNTU = OsRelease("ubuntu", "24.04", "Ubuntu 24.04.1 LTS")
MOUNT = ScratchMount("/dev/vdc", "xfs", ("rw",), 5 << 40, 1, 4 << 40, "uuid")

DOCKER = DockerSeen(
    program="/usr/bin/docker",
    engine="/usr/sbin/dockerd",
    load_state="loaded",
    active_state="active",
)


@pytest.fixture
def bare(scripted: Any) -> Any:
    """A host without a scratch disk and without Docker."""
    scripted.facts.update({ScratchMountStatus: None, DockerInstalled: None})
    state.active_hosts.add(scripted)
    return scripted


def test_without_the_scratch_disk_the_host_is_taken_out(bare: Any) -> None:
    prerequisites.gate("/mnt/models", docker=True)
    (failure,) = failures(bare)
    assert failure.kind is ExitCode.UNFIT
    assert "nothing is mounted at /mnt/models" in failure.what
    assert "tasks/storage.py" in next_of(failure)
    assert bare in state.failed_hosts
    assert bare.asked == [(ScratchMountStatus, {"mount_point": "/mnt/models"})]


def test_without_docker_the_host_is_taken_out(bare: Any) -> None:
    bare.facts[ScratchMountStatus] = MOUNT
    prerequisites.gate("/mnt/models")
    assert failures(bare) == ()
    prerequisites.gate("/mnt/models", docker=True)
    (failure,) = failures(bare)
    assert "Docker is not installed" in failure.what
    assert "tasks/docker.py" in next_of(failure)
    assert bare in state.failed_hosts


def test_what_is_there_is_enough(scripted: Any) -> None:
    scripted.facts.update({ScratchMountStatus: MOUNT, DockerInstalled: "/usr/bin/docker"})
    scripted.facts[DockerConfiguration] = DOCKER
    prerequisites.gate("/mnt/models", docker=True)
    assert failures(scripted) == ()


def test_a_docker_that_is_not_one_is_not_enough(scripted: Any) -> None:
    scripted.facts.update({ScratchMountStatus: MOUNT, DockerInstalled: "/usr/bin/docker"})
    scripted.facts[DockerConfiguration] = DockerSeen(program="/usr/bin/podman", is_podman=True)
    state.active_hosts.add(scripted)
    prerequisites.gate("/mnt/models", docker=True)
    (failure,) = failures(scripted)
    assert "is podman" in failure.what
    assert scripted in state.failed_hosts


def test_what_an_earlier_task_of_the_run_makes_is_not_asked_for(bare: Any) -> None:
    prerequisites.provided(prerequisites.SCRATCH)
    prerequisites.provided(prerequisites.DOCKER)
    prerequisites.gate("/mnt/models", docker=True)
    assert failures(bare) == ()
    assert bare.asked == []


def test_a_release_that_was_never_tried_is_said_once_and_not_refused(scripted: Any) -> None:
    scripted.facts[HostRelease] = UBUNTU
    prerequisites.tell_release()
    prerequisites.tell_release()
    (notice,) = scripted.logged
    assert notice.startswith("never tried on Ubuntu 24.04.1 LTS, only on Debian 11, ")
    assert failures(scripted) == ()
    assert len(scripted.asked) == 1


def test_a_release_that_was_tried_is_not_mentioned(scripted: Any) -> None:
    scripted.facts[HostRelease] = OsRelease("debian", "13", "Debian GNU/Linux 13 (trixie)")
    prerequisites.tell_release()
    assert scripted.logged == []
