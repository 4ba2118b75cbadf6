"""Docker on the scratch disk: guard and daemon.json first, so that no daemon starts elsewhere."""

from rocminfra.host.programs import installed
from rocminfra.host_paths import DOCKER_DROP_IN, SCRATCH_GUARD
from rocminfra.operations import docker, prerequisites
from rocminfra.operations.host_files import HostFile
from rocminfra.operations.host_settings import current
from rocminfra.rendering import render

settings = current()
prerequisites.tell_release()
prerequisites.gate(mount_point=settings.storage.mount_point)
docker.gate(
    data_root=settings.docker.data_root,
    leave_behind=settings.docker.leave_behind,
    package=settings.docker.package,
)

docker.configured(
    name="Configure Docker: data on the scratch disk, start after it",
    data_root=settings.docker.data_root,
    files=[
        HostFile(SCRATCH_GUARD, installed(SCRATCH_GUARD)),
        HostFile(
            DOCKER_DROP_IN,
            render("docker-scratch.conf.j2", {"mount_point": settings.storage.mount_point}),
        ),
    ],
    package=settings.docker.package,
)

docker.installed(name="Install Docker", package=settings.docker.package)

docker.running(name="Start Docker", data_root=settings.docker.data_root)
prerequisites.provided(prerequisites.DOCKER)
