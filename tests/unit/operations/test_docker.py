"""Docker's configuration and daemon."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from failing import next_of
from pyinfra.api import FunctionCommand

from rocminfra.facts.docker import (
    DockerContainerdStore,
    DockerContents,
    DockerInstalled,
    DockerOutlivers,
    DockerRoot,
    NoAnswer,
)
from rocminfra.facts.docker_configuration import DockerConfiguration
from rocminfra.facts.kept_files import Kept, KeptFiles
from rocminfra.facts.packages import InstalledPackages
from rocminfra.facts.paths import PathState, PathStates
from rocminfra.facts.programs import HostPrograms, KernelEnforcesAppArmor
from rocminfra.facts.systemd_unit import SystemdUnit, Unit
from rocminfra.failure import ExitCode
from rocminfra.operations.docker import UNANSWERED, configured, gate, installed, running
from rocminfra.operations.host_failures import failures
from rocminfra.operations.host_files import HostFile
from rocminfra.planning.docker.observation import DockerSeen

ROOT = "/mnt/models/docker"
DAEMON_JSON = "/etc/docker/daemon.json"
DROP_IN = HostFile("/etc/systemd/system/docker.service.d/x.conf", "[Service]\n")
ACTIVE = Unit("loaded", "active", enabled=True, needs_reload=False, invocation_id="1")


def seen(file: str | None) -> DockerSeen:
    return DockerSeen(
        program="/usr/bin/docker",
        engine="/usr/sbin/dockerd",
        load_state="loaded",
        file=file,
        real={ROOT: "/srv/disk/docker"},
    )


@pytest.fixture
def docker(scripted: Any) -> Any:
    """A Docker that runs as its package has made it."""
    scripted.facts.update(
        {
            DockerRoot: "/var/lib/docker",
            DockerConfiguration: seen(None),
            DockerContents: (),
            DockerInstalled: "/usr/bin/docker",
            DockerOutlivers: (),
            KeptFiles: None,
            PathStates: {},
            SystemdUnit: ACTIVE,
        }
    )
    return scripted


def test_other_keys_of_daemon_json_stay(docker: Any, run: Callable[..., Any]) -> None:
    docker.facts[DockerConfiguration] = seen('{"debug": true, "features": {"buildkit": true}}')
    written = json.loads(run(configured, data_root=ROOT).uploads[DAEMON_JSON])
    assert (written["debug"], written["data-root"]) == (True, ROOT)
    assert written["features"] == {"buildkit": True, "containerd-snapshotter": False}


def test_files_are_kept_and_docker_is_asked_before_the_first_is_written(
    docker: Any, run: Callable[..., Any]
) -> None:
    outcome = run(configured, data_root=ROOT, files=[DROP_IN])
    question, keeping, writing, reading = outcome.commands
    assert isinstance(question, FunctionCommand)
    # Kept of this start of Docker: after another one, what was kept is not what it runs with.
    assert f" 'docker.service 1' '' {DAEMON_JSON} {DROP_IN.path}" in str(keeping)
    assert set(outcome.uploads) == {DAEMON_JSON, DROP_IN.path}
    assert "base64 -d | tar" in str(writing)
    assert str(reading) == "systemctl daemon-reload", "a new folder is not noticed otherwise"


def test_of_a_docker_that_does_not_run_nothing_is_kept(
    docker: Any, run: Callable[..., Any]
) -> None:
    docker.facts[DockerRoot] = None
    assert len(run(configured, data_root=ROOT).shell) == 1


def asked_of_docker(docker: Any, succeeded: bool, *err: str) -> bool:
    docker.answers = [(succeeded, (), err)]
    (question,) = [
        command
        for command in configured._inner(data_root=ROOT)
        if isinstance(command, FunctionCommand)
    ]
    return bool(question.function(None, docker, *question.args))


def test_what_docker_itself_would_not_start_with_is_not_written(docker: Any) -> None:
    assert asked_of_docker(docker, True)
    assert not asked_of_docker(docker, False, "unknown log opt 'labels'")
    (failure,) = failures(docker)
    assert failure.kind is ExitCode.UNFIT
    assert failure.why == ("unknown log opt 'labels'",)
    assert "nothing was changed" in failure.what
    assert json.loads(docker.stdin[-1])["data-root"] == ROOT


def test_a_docker_that_is_not_one_is_refused_before_and_while_it_is_configured(
    docker: Any, run: Callable[..., Any]
) -> None:
    docker.facts[DockerConfiguration] = DockerSeen(program="/usr/bin/podman", is_podman=True)
    gate(data_root=ROOT)
    (failure,) = failures(docker)
    assert "is podman" in failure.what
    outcome = run(configured, data_root=ROOT, files=[DROP_IN])
    assert (outcome.shell, outcome.failure) == ([], failure)


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
    scripted.facts[DockerConfiguration] = seen(None)
    gate(data_root="/mnt/models/docker")
    found = failures(scripted)
    assert bool(found) == is_refused
    if found:
        assert found[0].kind is ExitCode.REFUSED
        assert found[0].why == contents


@pytest.mark.parametrize(
    ("file", "is_refused"),
    [(None, True), ('{"data-root": "/mnt/models/docker/"}', False)],
)
def test_a_docker_that_is_stopped_has_containers_too(
    file: str | None, is_refused: bool, docker: Any
) -> None:
    docker.facts[DockerRoot] = None
    docker.facts[DockerConfiguration] = replace(seen(file), left=("volume database",))
    gate(data_root=ROOT)
    assert bool(failures(docker)) == is_refused


def test_a_daemon_that_does_not_answer_may_have_somebodys_containers(docker: Any) -> None:
    docker.facts[DockerRoot] = NoAnswer()
    gate(data_root="/mnt/models/docker")
    assert failures(docker) == (UNANSWERED,)


def test_a_daemon_elsewhere_that_does_not_answer_is_not_taken_for_this_hosts(docker: Any) -> None:
    docker.facts[DockerRoot] = NoAnswer()
    docker.facts[DockerConfiguration] = replace(seen(None), host="tcp://203.0.113.9:2375")
    gate(data_root=ROOT)
    (failure,) = failures(docker)
    assert "DOCKER_HOST=tcp://203.0.113.9:2375" in failure.what
    assert "/etc/environment" in next_of(failure)


@pytest.mark.parametrize(
    ("outliving", "is_refused"), [((), False), (("vllm",), True)], ids=["none", "live-restore"]
)
def test_what_is_left_behind_must_not_run_on_without_a_docker(
    outliving: tuple[str, ...], is_refused: bool, docker: Any
) -> None:
    docker.facts[DockerContents] = ("container vllm (rocm/vllm, Up 3 days)",)
    docker.facts[DockerOutlivers] = outliving
    gate(data_root=ROOT, leave_behind=True)
    assert bool(failures(docker)) == is_refused
    if is_refused:
        assert "docker stop vllm" in next_of(failures(docker)[0])
    docker.facts[DockerRoot] = ROOT
    docker.facts[DockerOutlivers] = ("vllm",)
    docker.connector_data.clear()
    docker.data.clear()
    before = failures(docker)
    gate(data_root=ROOT, leave_behind=True)
    assert failures(docker) == before, "nothing moves"


def test_a_link_in_place_of_the_configuration_is_refused_before_anything_is_written(
    docker: Any, run: Callable[..., Any]
) -> None:
    linked = replace(seen('{"debug": true}'), file_problem="is a link to /srv/daemon.json")
    docker.facts[DockerConfiguration] = linked
    gate(data_root=ROOT)
    (failure,) = failures(docker)
    assert failure.kind is ExitCode.UNFIT
    assert "link to /srv/daemon.json" in failure.what
    assert run(configured, data_root=ROOT, files=[DROP_IN]).shell == []


@pytest.mark.parametrize(
    ("owners", "expected"),
    [(("root", "docker"), "-o root -g docker"), (("UNKNOWN", "UNKNOWN"), "-o root -g root")],
)
def test_the_owners_of_daemon_json_stay(
    owners: tuple[str, str], expected: str, docker: Any, run: Callable[..., Any]
) -> None:
    docker.facts[DockerConfiguration] = seen('{"debug": true}')
    docker.facts[PathStates] = {DAEMON_JSON: PathState("regular file", 0o640, *owners, "0" * 64)}
    command = run(configured, data_root=ROOT).commands[-1]
    assert f"install -m 0640 {expected}" in str(command)


@pytest.mark.parametrize(("in_containerd", "is_refused"), [(True, True), (False, False)])
def test_another_image_store_hides_containers_too(
    in_containerd: bool, is_refused: bool, docker: Any
) -> None:
    docker.facts[DockerRoot] = ROOT
    docker.facts[DockerContents] = ("container web (nginx, Up)",)
    docker.facts[DockerContainerdStore] = in_containerd
    docker.facts[DockerConfiguration] = seen('{"features": {"containerd-snapshotter": true}}')
    gate(data_root=ROOT)
    assert bool(failures(docker)) == is_refused


def test_a_daemon_json_that_only_root_may_read_stays_so(
    docker: Any, run: Callable[..., Any]
) -> None:
    docker.facts[DockerConfiguration] = seen('{"http-proxy": "http://user:word@203.0.113.1"}')
    found = PathState("regular file", 0o600, "root", "root", "0" * 64)
    docker.facts[PathStates] = {DAEMON_JSON: found}
    command = run(configured, data_root=ROOT).commands[-1]
    assert "install -m 0600 -o root -g root" in str(command)


def test_a_right_configuration_is_left_as_its_owner_wrote_it(
    docker: Any, run: Callable[..., Any]
) -> None:
    docker.facts[DockerRoot] = "/srv/disk/docker"
    docker.facts[DockerConfiguration] = seen('{"data-root":\n "/mnt/models/docker/"}')
    assert run(configured, data_root=ROOT).commands == []


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_a_broken_daemon_json_is_refused_not_replaced(
    text: str, docker: Any, run: Callable[..., Any]
) -> None:
    docker.facts[DockerConfiguration] = seen(text)
    outcome = run(configured, data_root=ROOT)
    assert outcome.shell == []
    assert outcome.failure.kind is ExitCode.UNFIT


def test_a_docker_that_is_there_is_left_alone(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[DockerInstalled] = "/usr/bin/docker"
    assert run(installed, package="docker.io").commands == []


def _install(
    scripted: Any, run: Callable[..., Any], package: str, apparmor: bool = False
) -> list[str]:
    """Commands that install Docker where there is none."""
    scripted.facts.update(
        {
            DockerInstalled: None,
            KernelEnforcesAppArmor: apparmor,
            HostPrograms: frozenset(),
            InstalledPackages: frozenset(),
        }
    )
    shell: list[str] = run(installed, package=package).shell
    return shell


def test_the_package_is_installed_when_there_is_none(
    scripted: Any, run: Callable[..., Any]
) -> None:
    shell = _install(scripted, run, "docker.io")
    names = "docker.io ca-certificates xz-utils"
    assert shell == [f"apt-get install {names} where offered: docker-cli"]


def test_where_the_kernel_enforces_apparmor_its_parser_is_installed_too(
    scripted: Any, run: Callable[..., Any]
) -> None:
    assert "xz-utils apparmor where" in _install(scripted, run, "docker.io", apparmor=True)[0]


def test_dockers_own_package_brings_its_own_program(scripted: Any, run: Callable[..., Any]) -> None:
    shell = _install(scripted, run, "docker-ce")
    # docker-cli would conflict with docker-ce-cli.
    assert shell == ["apt-get install docker-ce ca-certificates xz-utils"]


def started(outcome: Any) -> bool:
    return any(isinstance(command, FunctionCommand) for command in outcome.commands)


@pytest.mark.parametrize(
    ("root", "kept", "is_restarted"),
    [
        (ROOT, None, False),
        (f"{ROOT}/", None, False),
        ("/srv/disk/docker", None, False),  # the same folder: a link leads there
        ("/var/lib/docker", None, True),
        (ROOT, Kept("docker.service", ""), True),  # a change that no start has proven
    ],
)
def test_the_daemon_is_restarted_only_when_its_data_is_elsewhere(
    root: str, kept: Kept | None, is_restarted: bool, docker: Any, run: Callable[..., Any]
) -> None:
    docker.facts.update({DockerRoot: root, KeptFiles: kept})
    outcome = run(running, data_root=ROOT)
    assert outcome.shell == []
    assert started(outcome) == is_restarted


def test_a_daemon_that_is_off_is_enabled_and_started(docker: Any, run: Callable[..., Any]) -> None:
    docker.facts[SystemdUnit] = Unit("loaded", "inactive", False, True, "")
    outcome = run(running, data_root=ROOT)
    assert outcome.shell == ["systemctl daemon-reload", "systemctl enable docker.service"]
    assert started(outcome)


def restarted(docker: Any, *answers: tuple[bool, tuple[str, ...], tuple[str, ...]]) -> bool:
    docker.facts[DockerRoot] = "/var/lib/docker"
    (command,) = running._inner(data_root=ROOT)
    docker.answers = [(True, ("vllm.service",), ()), *answers]
    return bool(command.function(None, docker, *command.args))


OK: Any = (True, (), ())


def test_a_restart_that_is_proven_keeps_nothing(docker: Any) -> None:
    docker.facts[KeptFiles] = Kept("docker.service", "")
    (command,) = running._inner(data_root=ROOT)
    docker.facts[DockerRoot] = ROOT
    docker.answers = [OK, OK, OK]
    assert command.function(None, docker, *command.args)
    assert docker.ran[1].startswith("systemctl reset-failed docker.service")
    assert docker.ran[2] == "rm -rf /var/lib/rocminfra/before/docker"


def test_a_restart_that_fails_brings_the_old_files_back_and_says_so(docker: Any) -> None:
    docker.facts[KeptFiles] = Kept("docker.service", "")
    assert not restarted(docker, (False, (), ("failed to start daemon: no",)), OK)
    (failure,) = failures(docker)
    assert failure.what.endswith("its configuration from before is back, and it runs with that")
    assert failure.why == ("failed to start daemon: no",)
    assert re.search(
        r"restore \S+ && systemctl daemon-reload && .*systemctl restart", docker.ran[2]
    )
    assert "systemctl start --no-block vllm.service" in docker.ran[2]


def test_a_docker_that_puts_its_data_elsewhere_all_the_same_goes_back_too(docker: Any) -> None:
    docker.facts[KeptFiles] = Kept("docker.service", "")
    assert not restarted(docker, OK, OK)
    (failure,) = failures(docker)
    assert failure.why == ("its data is in /var/lib/docker",)


def test_a_second_failure_on_the_way_back_is_said_too(docker: Any) -> None:
    docker.facts[KeptFiles] = Kept("docker.service", "")
    assert not restarted(docker, (False, (), ("first",)), (False, (), ("second",)))
    (failure,) = failures(docker)
    assert failure.what.endswith("and not with its configuration from before either")
    assert failure.why == ("first", "second")


def test_without_a_docker_from_before_there_is_no_way_back(docker: Any) -> None:
    assert not restarted(docker, (False, (), ("no",)))
    assert len(docker.ran) == 2
    assert failures(docker)[0].what == f"Docker does not run with its data in {ROOT}"
