"""A Docker that docker.service does not run is refused before anything is written."""

from __future__ import annotations

from typing import Any

import pytest
from failing import next_of, said

from rocminfra.failure import ExitCode, FailedError
from rocminfra.planning.docker.configuration import Refuse, Write, decide
from rocminfra.planning.docker.observation import Daemon, DockerSeen

ROOT = "/mnt/models/docker"


def seen(**what: Any) -> DockerSeen:
    """A Docker as Debian's package makes it."""
    there: dict[str, Any] = {
        "program": "/usr/bin/docker",
        "engine": "/usr/sbin/dockerd",
        "load_state": "loaded",
        "active_state": "active",
        "file_state": "enabled",
        "command": "/usr/sbin/dockerd",
        "flags": {"hosts": (), "containerd": ()},
    }
    return DockerSeen(**{**there, **what})


def is_configured(docker: DockerSeen, **how: Any) -> bool:
    return isinstance(decide(docker, ROOT, **how), Write)


def refused(docker: DockerSeen, **how: Any) -> str:
    decision = decide(docker, ROOT, **how)
    assert isinstance(decision, Refuse), decision
    assert decision.failure.kind in (ExitCode.REFUSED, ExitCode.UNFIT)
    assert next_of(decision.failure)
    return said(FailedError.of(decision.failure))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"is_podman": True, "engine": None, "load_state": "not-found"}, "is podman"),
        ({"program": "/usr/bin/snap", "engine": None, "load_state": "not-found"}, "a snap"),
        ({"load_state": "not-found"}, "no docker.service"),
        ({"engine": None, "load_state": "not-found"}, "only Docker's client"),
        ({"load_state": "masked"}, "masked"),
        ({"context": "rootless"}, "another Docker (context 'rootless')"),
        ({"host": "unix:///run/user/1000/docker.sock"}, "DOCKER_HOST=unix:///run/user/1000/"),
        ({"load_state": "bad-setting"}, "systemd cannot read docker.service"),
        ({"program": "/usr/local/bin/docker", "has_client": False}, "calls /usr/bin/docker"),
        (
            {
                "rootless": ("/run/user/1000/docker.sock",),
                "active_state": "inactive",
                "file_state": "disabled",
            },
            "/run/user/1000/docker.sock",
        ),
    ],
)
def test_what_is_no_docker_engine_under_systemd_is_refused(
    what: dict[str, Any], words: str
) -> None:
    assert words in refused(seen(**what))


STOPPED = {"active_state": "inactive"}
ABSENT = {**STOPPED, "program": None, "engine": None, "load_state": "not-found", "file_state": ""}
SNAP = Daemon(7, unit="snap.docker.dockerd.service")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        # Beside Docker's own package, and where snap's program is in no folder that is searched.
        ({"daemons": (SNAP,)}, ("snap runs on this host", "snap stop --disable docker")),
        ({**ABSENT, "daemons": (SNAP,)}, ("snap runs on this host", "snap stop --disable docker")),
        ({**ABSENT, "daemons": (Daemon(7),)}, ("without docker.service (process 7)", "kill 7")),
        ({**STOPPED, "daemons": (Daemon(7, unit="session-3.scope"),)}, ("process 7", "kill 7")),
        # By hand over ssh, where a login has no scope of its own.
        ({**STOPPED, "daemons": (Daemon(7, unit="ssh.service"),)}, ("in ssh.service", "(kill 7)")),
        (
            {**STOPPED, "daemons": (Daemon(7, unit="dind.service", is_units=True),)},
            ("(process 7 in dind.service)", "systemctl disable --now dind.service"),
        ),
        ({"daemons": (Daemon(7, hosts=("unix:///run/docker.sock",), data_root="/x"),)}, ("kill",)),
        ({"daemons": (Daemon(7, hosts=("unix:///run/x.sock",)),)}, ("kill 7",)),
        ({"daemons": (Daemon(7, hosts=("tcp://:1",), data_root=f"{ROOT}/"),)}, ("kill 7",)),
        (
            {**STOPPED, "daemons": (Daemon(7, hosts=("tcp://:1",), data_root="/x"),)},
            ("kill 7",),
        ),
        (
            {**ABSENT, "socket": "/run/podman/podman.sock"},
            ("leads to podman", "podman-docker"),
        ),
        ({"socket": "/run/podman/podman.sock"}, ("leads to podman", "/run/docker.sock")),
        ({**ABSENT, "socket": "/home/u/.colima/docker.sock"}, ("leads elsewhere", "link")),
        ({**ABSENT, "is_taken": True}, ("listens at Docker's socket", "ss -xlp")),
        (
            {**ABSENT, "rootless": ("/run/user/1000/docker.sock",)},
            ("is not installed", "apt-get install docker.io"),
        ),
        (
            {**ABSENT, "daemons": (Daemon(7, user=1000, unit="docker.service"),)},
            ("(user 1000, process 7)", "apt-get install docker.io"),
        ),
        (
            {
                **STOPPED,
                "file_state": "disabled",
                "daemons": (Daemon(7, user=1000, unit="docker.service"),),
            },
            ("(user 1000, process 7)", "systemctl enable --now docker.service"),
        ),
    ],
)
def test_a_docker_that_runs_without_docker_service_is_refused(
    what: dict[str, Any], words: tuple[str, ...]
) -> None:
    text = refused(seen(**what))
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    "what",
    [
        {"daemons": (Daemon(7, user=1000, unit="docker.service"),)},
        {"daemons": (Daemon(7, hosts=("unix:///run/x.sock",), data_root="/srv/x"),)},
        {"socket": "/srv/docker.sock"},
        {"is_taken": True},
    ],
)
def test_beside_docker_service_others_may_run(what: dict[str, Any]) -> None:
    assert is_configured(seen(**what))


def test_a_rootless_docker_beside_the_systems_own_is_no_obstacle() -> None:
    assert is_configured(seen(rootless=("/run/user/1000/docker.sock",)))


def test_installing_debians_docker_must_not_remove_dockers_containerd() -> None:
    alone = DockerSeen(containerd_io=True)
    assert "containerd.io is installed without Docker" in refused(alone)
    assert is_configured(alone, package="docker-ce")
