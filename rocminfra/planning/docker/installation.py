"""Whether the Docker of a host is one that can be configured: dockerd under docker.service."""

from __future__ import annotations

from rocminfra.failure import Again, Argument, Failure, Fault
from rocminfra.planning.docker.observation import Daemon, DockerSeen

# The program of a snap is a link to snap itself.
_SNAP = ("/usr/bin/snap", "/snap/", "/var/lib/snapd/")
_SNAP_UNIT = "snap.docker"
# What Docker serves when nobody says otherwise; systemd's socket is the same one.
SOCKETS = ("fd://", "unix://", "unix:///var/run/docker.sock", "unix:///run/docker.sock")


def problem(seen: DockerSeen, package: str, data_root: str = "") -> Failure | None:
    """Why the engine cannot be run by this Docker, or None; also None where there is none yet.

    + package: what would be installed where no Docker is
    + data_root: where the data is to be, which no other daemon may use
    """
    return (
        _about_program(seen)
        or _about_daemons(seen, data_root)
        or _about_unit(seen)
        or _about_rootless(seen, package)
        or _about_package(seen, package)
    )


def _about_program(seen: DockerSeen) -> Failure | None:
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
    return None


def _about_daemons(seen: DockerSeen, data_root: str) -> Failure | None:
    """Dockers that run already, and would be in the way of docker.service or it in theirs."""
    if "podman" in seen.socket:
        return _unfit(
            f"Docker's socket leads to podman on this host ({seen.socket})",
            "remove the package podman-docker, or the link /run/docker.sock, then",
        )
    is_active = seen.active_state == "active"
    if seen.socket and not is_active:
        return _unfit(
            f"Docker's socket leads elsewhere on this host (/run/docker.sock is a link to "
            f"{seen.socket}), and docker.service does not run",
            "remove the link when docker.service may have its place, then",
        )
    for daemon in seen.daemons:
        if daemon.unit.startswith(_SNAP_UNIT):
            return _unfit(
                f"Docker's snap runs on this host ({daemon.unit}), and reads neither /etc/docker "
                "nor the scratch disk",
                "run snap stop --disable docker, when what it runs may end, then",
            )
        if daemon.user == 0 and not (is_active and _is_apart(seen, daemon, data_root)):
            return _in_the_way(daemon)
    if seen.is_taken and not is_active:
        return _unfit(
            "something that is not docker.service listens at Docker's socket (/run/docker.sock)",
            "run ss -xlp | grep docker.sock, which names it; stop it, when docker.service may have "
            "its place, then",
        )
    return None


def _is_apart(seen: DockerSeen, daemon: Daemon, data_root: str) -> bool:
    """Whether a second Docker has socket and data of its own, and says so by its flags."""
    has_data = bool(daemon.data_root) and not seen.is_same_path(daemon.data_root, data_root)
    return has_data and bool(daemon.hosts) and not set(daemon.hosts) & set(SOCKETS)


def _in_the_way(daemon: Daemon) -> Failure:
    by = f"process {daemon.pid}" + (f" in {daemon.unit}" if daemon.unit else "")
    # By hand over ssh it may be in ssh.service, which nobody is to be told to stop.
    stop = f"systemctl disable --now {daemon.unit}" if daemon.is_units else f"kill {daemon.pid}"
    return _unfit(
        f"a Docker Engine runs on this host without docker.service ({by}), and the two would want "
        "the same socket",
        f"see what it runs (docker ps), and stop it ({stop}) when docker.service may have its "
        "place, then",
    )


def _about_unit(seen: DockerSeen) -> Failure | None:
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
    return None


def _about_rootless(seen: DockerSeen, package: str) -> Failure | None:
    """Beside the system's own it may run; alone, it is what its user wants Docker to be."""
    users = [
        f"user {daemon.user}, process {daemon.pid}" for daemon in seen.daemons if daemon.user != 0
    ]
    places = [*seen.rootless, *users]
    if not places or seen.active_state == "active" or seen.file_state == "enabled":
        return None
    what = f"Docker is run by a user for itself here ({places[0]}), and the system's own is "
    if seen.load_state == "loaded":
        return _unfit(
            f"{what}turned off",
            "run systemctl enable --now docker.service, when both may run, then",
        )
    return _unfit(
        f"{what}not installed",
        f"run apt-get install {package}, when both may run, then",
    )


def _about_package(seen: DockerSeen, package: str) -> Failure | None:
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
