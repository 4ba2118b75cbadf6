"""Docker on the scratch disk: guard and daemon.json first, so that no daemon starts elsewhere."""

from rocminfra.host.programs import installed
from rocminfra.host_paths import DOCKER_DROP_IN, SCRATCH_GUARD
from rocminfra.operations import docker, host_files, prerequisites
from rocminfra.operations.host_files import HostFile
from rocminfra.operations.host_settings import current
from rocminfra.rendering import render

settings = current()
prerequisites.tell_release()
prerequisites.gate(mount_point=settings.storage.mount_point)
if not settings.docker.leave_behind:
    docker.gate(data_root=settings.docker.data_root)

host_files.present(
    name="Docker waits for the scratch disk",
    files=[
        HostFile(SCRATCH_GUARD, installed(SCRATCH_GUARD)),
        HostFile(
            DOCKER_DROP_IN,
            render("docker-scratch.conf.j2", {"mount_point": settings.storage.mount_point}),
        ),
    ],
)

docker.daemon_config(
    name="Docker's data on the scratch disk",
    values={
        "data-root": settings.docker.data_root,
        "log-driver": "local",
        # Docker 29 keeps images below /var/lib/containerd, on the root disk, unless told not to.
        "features": {"containerd-snapshotter": False},
    },
)

docker.installed(name="Docker's package", package=settings.docker.package)

docker.running(name="Docker runs", data_root=settings.docker.data_root)
prerequisites.provided(prerequisites.DOCKER)
