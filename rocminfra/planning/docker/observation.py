"""A host's Docker as it was found."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

DAEMON_JSON = "/etc/docker/daemon.json"


@dataclass(frozen=True)
class Daemon:
    """A dockerd that is not docker.service's, and in no container.

    + user: id of the user that runs it; root's is 0
    + unit: the systemd unit that it is in, empty when there is none
    + is_units: whether that unit is there for it; one started by hand is in that of a login
    + hosts, data_root: of its flags, empty where they say nothing
    """

    pid: int
    user: int = 0
    unit: str = ""
    is_units: bool = False
    hosts: tuple[str, ...] = ()
    data_root: str = ""


@dataclass(frozen=True)
class DockerSeen:
    """Program, unit and configuration file.

    + program: what ``docker`` is, links followed; None when there is none
    + is_podman: whether that is podman under another name
    + engine: path of dockerd, or None
    + load_state, active_state, file_state: of ``docker.service``, as systemd says
    + command: program that the unit starts, or None
    + flags: of the unit, by their names in daemon.json, with values where they matter here
    + file: text of its daemon.json, which a flag may put elsewhere; None when there is none
    + file_problem: why that is no file to replace, such as a link; empty when it is one
    + real: paths of data and of daemon.json, and what they are with links followed
    + inodes: device and inode of those that are there; a bind mount has the same ones
    + context: the docker context that root has chosen, empty for the default one
    + host: where DOCKER_HOST sends the client, empty for this host's socket
    + has_client: whether the program is where the engine's unit calls it
    + has_quota: whether the data's filesystem counts project quotas; None when it is not known
    + missing: programs of runtimes that are not on the host
    + rootless: sockets of Dockers that users run for themselves
    + left: containers and volumes on the disk where the configuration puts the data
    + containerd_io: whether Docker's own package of containerd is installed
    + is_proven: whether the daemon that runs was started with flags and daemon.json as they are now
    + daemons: those that run without docker.service
    + socket: what Docker's socket leads to, when it is a link
    + is_taken: whether something that is neither Docker nor systemd listens at that socket
    """

    program: str | None = None
    is_podman: bool = False
    engine: str | None = None
    load_state: str = "not-found"
    active_state: str = "inactive"
    file_state: str = ""
    command: str | None = None
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    file: str | None = None
    file_problem: str = ""
    real: Mapping[str, str] = field(default_factory=dict)
    inodes: Mapping[str, str] = field(default_factory=dict)
    context: str = ""
    host: str = ""
    has_client: bool = True
    has_quota: bool | None = None
    missing: tuple[str, ...] = ()
    rootless: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    containerd_io: bool = False
    is_proven: bool = False
    daemons: tuple[Daemon, ...] = ()
    socket: str = ""
    is_taken: bool = False

    @property
    def file_path(self) -> str:
        """Path of the configuration file that is read."""
        return (self.flags.get("config-file") or (DAEMON_JSON,))[-1] or DAEMON_JSON

    @property
    def is_file_elsewhere(self) -> bool:
        """Whether that is another file than the one that is ours to write."""
        return not self.is_same_path(self.file_path, DAEMON_JSON)

    def is_same_path(self, one: str, other: str) -> bool:
        """Whether two paths mean the same folder, with slashes, ``..``, links and bind mounts."""
        names = [
            {posixpath.normpath(path), self.real.get(path, path), self.inodes.get(path, path)}
            for path in (one, other)
        ]
        return bool(names[0] & names[1])
