"""Whether the Docker of a host is one that can be configured: dockerd under docker.service."""

from __future__ import annotations

from rocminfra.failure import Again, Argument, Failure, Fault
from rocminfra.planning.docker.observation import DockerSeen

# The program of a snap is a link to snap itself.
_SNAP = ("/usr/bin/snap", "/snap/", "/var/lib/snapd/")


def problem(seen: DockerSeen, package: str) -> Failure | None:
    """Why the engine cannot be run by this Docker, or None; also None where there is none yet.

    + package: what would be installed where no Docker is
    """
    if seen.is_podman:
        return _unfit(
            f"the docker program of this host is podman ({seen.program})",
            "remove the package podman-docker, then",
        )
    if seen.program is not None and seen.program.startswith(_SNAP):
        return _unfit(
            "Docker is a snap on this host, which reads neither /etc/docker nor the scratch disk",
            "remove it (snap remove docker), then",
        )
    if seen.context:
        return _unfit(
            f"the docker program of root talks to another Docker (context {seen.context!r})",
            "run docker context use default as root, then",
        )
    if seen.host:
        return _unfit(
            f"the docker program talks to another Docker here (DOCKER_HOST={seen.host}), and "
            "systemd, which starts the engine, to this host's own",
            "remove DOCKER_HOST from where the login gets it (/etc/environment, ~/.bashrc), then",
        )
    if seen.load_state in ("bad-setting", "error"):
        return _unfit(
            "systemd cannot read docker.service: a drop-in, or the unit, is wrong",
            "see what systemctl status docker.service says, mend it, systemctl daemon-reload, then",
        )
    if seen.load_state == "masked":
        return _unfit(
            "docker.service is masked on this host: someone does not want it to start",
            "run systemctl unmask docker.service docker.socket, when that is wanted no longer, "
            "then",
        )
    if seen.engine is not None and seen.load_state != "loaded":
        return _unfit(
            f"there is a Docker Engine ({seen.engine}) and no docker.service that starts it",
            "install Docker as a package, or remove it, then",
        )
    if seen.program is not None and seen.engine is not None and not seen.has_client:
        return _unfit(
            f"the docker program is {seen.program}, and the engine's unit calls /usr/bin/docker",
            f"run ln -s {seen.program} /usr/bin/docker, then",
        )
    if seen.rootless and seen.active_state != "active" and seen.file_state != "enabled":
        return _unfit(
            f"Docker is run by a user for itself here ({seen.rootless[0]}), and the system's own "
            "is turned off",
            "run systemctl enable --now docker.service, when both may run, then",
        )
    if seen.engine is None and seen.program is not None and seen.load_state != "loaded":
        return _unfit(
            "only Docker's client is installed on this host",
            "install the engine that belongs to it (docker.io or docker-ce), then",
        )
    if seen.engine is None and seen.containerd_io and package == "docker.io":
        return Failure(
            Fault.CONTAINERD_IN_THE_WAY,
            "containerd.io is installed without Docker, and installing docker.io would remove it "
            "with all that runs in it",
            next=Again(
                "take Docker from where containerd.io came from",
                arguments=((Argument("docker", "package"), "docker-ce"),),
            ),
        )
    return None


def _unfit(what: str, first: str) -> Failure:
    return Failure(Fault.DOCKER_INSTALLATION_UNFIT, what, next=Again(f"on the host, {first}"))
