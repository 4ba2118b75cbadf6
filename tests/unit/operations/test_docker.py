"""Docker's configuration and daemon."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rocminfra.facts.docker import DockerContents, DockerInstalled, DockerRoot, NoAnswer
from rocminfra.facts.file_contents import FileContents
from rocminfra.facts.packages import InstalledPackages
from rocminfra.facts.paths import PathState, PathStates
from rocminfra.facts.systemd_unit import SystemdUnit, Unit
from rocminfra.failure import ExitCode
from rocminfra.operations.docker import UNANSWERED, daemon_config, gate, installed, running
from rocminfra.operations.host_failures import failures

WANTED = {"data-root": "/mnt/models/docker"}
ACTIVE = Unit("loaded", "active", enabled=True, needs_reload=False, invocation_id="1")


def test_other_keys_of_daemon_json_stay(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[FileContents] = ['{"debug": true, "data-root": "/var/lib/docker"}']
    scripted.facts[PathStates] = {}
    written = run(daemon_config, values=WANTED).uploads["/etc/docker/daemon.json"]
    assert json.loads(written) == {"debug": True, "data-root": "/mnt/models/docker"}


def test_other_keys_of_an_object_in_it_stay_too(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[FileContents] = ['{"features": {"buildkit": true}}']
    scripted.facts[PathStates] = {}
    outcome = run(daemon_config, values={"features": {"containerd-snapshotter": False}})
    (written,) = outcome.uploads.values()
    assert json.loads(written)["features"] == {"buildkit": True, "containerd-snapshotter": False}


@pytest.mark.parametrize(
    ("root", "contents", "is_refused"),
    [
        (None, (), False),
        ("/mnt/models/docker", ("container vllm (vllm, Up)",), False),
        ("/var/lib/docker", (), False),
        ("/var/lib/docker", ("container rocm (rocm/vllm, Up 3 days)",), True),
        ("/var/lib/docker", ("volume database",), True),
    ],
)
def test_somebodys_containers_are_not_stopped_by_moving_dockers_data(
    root: str | None, contents: tuple[str, ...], is_refused: bool, scripted: Any
) -> None:
    scripted.facts.update({DockerRoot: root, DockerContents: contents})
    gate(data_root="/mnt/models/docker")
    found = failures(scripted)
    assert bool(found) == is_refused
    if found:
        assert found[0].kind is ExitCode.REFUSED
        assert found[0].why == contents


def test_a_daemon_that_does_not_answer_may_have_somebodys_containers(scripted: Any) -> None:
    scripted.facts[DockerRoot] = NoAnswer()
    gate(data_root="/mnt/models/docker")
    assert failures(scripted) == (UNANSWERED,)


def test_a_daemon_json_that_only_root_may_read_stays_so(
    scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[FileContents] = ['{"proxies": {"http-proxy": "http://user:word@203.0.113.1"}}']
    found = PathState("regular file", 0o600, "root", "root", "0" * 64)
    scripted.facts[PathStates] = {"/etc/docker/daemon.json": found}
    (command,) = run(daemon_config, values=WANTED).commands
    assert "install -m 0600 -o root -g root" in str(command)


def test_a_right_daemon_json_is_left_as_its_owner_wrote_it(
    scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[FileContents] = ['{"data-root":', '"/mnt/models/docker"}']
    assert run(daemon_config, values=WANTED).commands == []


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_a_broken_daemon_json_is_refused_not_replaced(
    text: str, scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[FileContents] = [text]
    outcome = run(daemon_config, values=WANTED)
    assert outcome.shell == []
    assert outcome.failure.kind is ExitCode.UNFIT


def test_a_docker_that_is_there_is_left_alone(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[DockerInstalled] = "/usr/bin/docker"
    assert run(installed, package="docker.io").commands == []


def test_the_package_is_installed_when_there_is_none(
    scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[DockerInstalled] = None
    scripted.facts[InstalledPackages] = frozenset()
    shell = run(installed, package="docker.io").shell
    assert "cloud-init status --wait" in shell[0]
    assert "DPkg::Lock::Timeout=600" in shell[1]
    assert "install -y -qq --no-install-recommends docker.io" in shell[1]


@pytest.mark.parametrize(
    ("unit", "root", "expected"),
    [
        (ACTIVE, "/mnt/models/docker", []),
        (ACTIVE, "/var/lib/docker", ["systemctl restart docker.service"]),
        (
            Unit("loaded", "inactive", enabled=False, needs_reload=True, invocation_id=""),
            None,
            [
                "systemctl daemon-reload",
                "systemctl enable docker.service",
                "systemctl reset-failed docker.service 2>/dev/null",
                "systemctl start docker.service",
            ],
        ),
    ],
)
def test_the_daemon_is_restarted_only_when_its_data_is_elsewhere(
    unit: Unit, root: str | None, expected: list[str], scripted: Any, run: Callable[..., Any]
) -> None:
    scripted.facts[SystemdUnit] = unit
    scripted.facts[DockerRoot] = root
    shell = run(running, data_root="/mnt/models/docker").shell
    assert [command.split(" ||")[0] for command in shell] == expected
