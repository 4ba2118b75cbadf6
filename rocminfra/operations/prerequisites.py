"""What a task stands on: there already, or made by an earlier task of the same run.

A task may run alone. Without the scratch disk its files would land on the root disk, where there is
no room for weights and images, so a host without it is taken out before anything has changed.
"""

from __future__ import annotations

from pyinfra import host, state

from rocminfra.facts.docker import DockerInstalled
from rocminfra.facts.docker_configuration import DockerConfiguration
from rocminfra.facts.release import HostRelease
from rocminfra.facts.scratch_mount import ScratchMountStatus
from rocminfra.failure import Again, Failure, Fault
from rocminfra.operations.host_failures import exclude
from rocminfra.planning.docker import installation
from rocminfra.planning.releases import untried

SCRATCH = "scratch"
DOCKER = "docker"
_KEY = "rocminfra.provided"
_TOLD = "rocminfra.release"


def provided(what: str) -> None:
    """Let the tasks after this one count on what its operations make on this host.

    + what: ``SCRATCH`` or ``DOCKER``

    For a task's top level. Should those operations fail, the host's run ends with them.
    """
    host.connector_data.setdefault(_KEY, set()).add(what)


def tell_release() -> None:
    """Say, once a run, that the host is of a release on which nobody has tried this.

    For a task's top level. It is a notice: nothing is refused for it.
    """
    if host.connector_data.setdefault(_TOLD, False):
        return
    host.connector_data[_TOLD] = True
    notice = untried(host.get_fact(HostRelease))
    if notice is not None:
        host.log(notice)


def gate(mount_point: str, docker: bool = False) -> None:
    """Take the host out of the run when it lacks what the task stands on.

    + mount_point: where the scratch disk has to be mounted; whether it is the right disk is for
      the guard on the host to say
    + docker: whether Docker has to be there as well, as a service that can run the engine

    For a task's top level. What an earlier task of this run provides is not asked for.
    """
    if not _is_provided(SCRATCH) and not _is_mounted(mount_point):
        _refuse(
            f"nothing is mounted at {mount_point}, and what belongs on the scratch disk would fill "
            "the root disk",
            "tasks/storage.py",
        )
    elif docker and not _is_provided(DOCKER):
        _need_docker(mount_point)


def _need_docker(mount_point: str) -> None:
    if host.get_fact(DockerInstalled) is None:
        _refuse("Docker is not installed", "tasks/docker.py")
        return
    # Where its data is matters to tasks/docker.py only.
    seen = host.get_fact(DockerConfiguration, data_root=mount_point)
    refused = installation.problem(seen, "docker.io")
    if refused is not None:
        exclude(state, host, refused)


def _is_mounted(mount_point: str) -> bool:
    return host.get_fact(ScratchMountStatus, mount_point=mount_point) is not None


def _is_provided(what: str) -> bool:
    return what in host.connector_data.get(_KEY, ())


def _refuse(what: str, task: str) -> None:
    following = Again("deploy.py does everything in its order; or first", files=(task,))
    exclude(state, host, Failure(Fault.PREREQUISITE_MISSING, what, next=following))
