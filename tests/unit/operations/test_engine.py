"""The engine's unit: what runs is judged by the running container, and restarted once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from failing import next_of
from pyinfra.api import FunctionCommand

from rocminfra.facts.docker import Container, DockerContainer, DockerImage, Image, NoAnswer
from rocminfra.facts.engine import EngineReadiness, EngineStatus
from rocminfra.facts.file_contents import FileContents
from rocminfra.facts.gpu_nodes import GpuNode, GpuNodes
from rocminfra.facts.kept_files import Kept, KeptFiles
from rocminfra.facts.paths import PathState, PathStates
from rocminfra.facts.system import Arch
from rocminfra.facts.systemd_unit import SystemdUnit, Unit
from rocminfra.failure import ExitCode
from rocminfra.operations import engine, foreseen
from rocminfra.operations.host_failures import failures
from rocminfra.operations.host_files import HostFile
from rocminfra.planning.docker.configuration import UNANSWERED
from rocminfra.planning.engine_command import CONFIG_LABEL, config_hash

ENVIRONMENT = HostFile("/etc/rocminfra/vllm.env", "A=1\n", mode=0o600)
IMAGE = Image("sha256:" + "1" * 64, (), ("vllm", "serve"), "linux/amd64")
QUESTION = {"unit": "vllm.service", "container": "vllm", "port": 8000, "model": "m"}
QUESTION_FILE = HostFile("/etc/rocminfra/vllm.json", json.dumps(QUESTION, indent=2) + "\n")
SERVICE: dict[str, Any] = {
    "unit": "vllm.service",
    "container": "vllm",
    "reference": "vllm:v1",
    "environment_file": ENVIRONMENT,
    "arguments": ["m", "--seed=1"],
    "port": 8000,
    "model": "m",
}
NODES = (GpuNode("/dev/kfd", 992, "render", 0o660), GpuNode("/dev/dri/card0", 44, "video", 0o660))
ACTIVE = Unit("loaded", "active", enabled=True, needs_reload=False, invocation_id="1")


def render(image: str, groups: Any, label: str) -> str:
    return f"{image} {list(groups)} {label}\n"


WANTED = config_hash(
    unit=render(IMAGE.id, (44, 992), "0" * 64), environment="A=1\n", image=IMAGE.id
)
UNIT_FILE = HostFile("/etc/systemd/system/vllm.service", render(IMAGE.id, (44, 992), WANTED))


def container(label: str) -> Container:
    return Container("c1", True, "2026-05-13T00:00:00Z", ((CONFIG_LABEL, label),), IMAGE.id)


def right(*files: HostFile) -> dict[str, PathState]:
    return {
        file.path: PathState("regular file", file.mode, "root", "root", file.sha256)
        for file in files
    }


@pytest.fixture
def converged(scripted: Any) -> Any:
    def text_of(path: str) -> list[str]:
        """The unit is the one of the container that runs."""
        if path == QUESTION_FILE.path:
            return QUESTION_FILE.content.splitlines()
        return [scripted.facts[DockerContainer].label(CONFIG_LABEL)]

    scripted.facts.update(
        {
            Arch: "x86_64",
            KeptFiles: None,
            FileContents: text_of,
            DockerImage: IMAGE,
            GpuNodes: NODES,
            PathStates: lambda paths: right(ENVIRONMENT, QUESTION_FILE, UNIT_FILE),
            SystemdUnit: ACTIVE,
            DockerContainer: container(WANTED),
        }
    )
    return scripted


def service(run: Callable[..., Any]) -> list[str]:
    """What the operation does, in order; keeping files without which ones."""
    steps = run(engine.service, render=render, **SERVICE).steps
    return ["keep" if " keep /var/lib/" in step else step for step in steps]


# The image is looked at and what serves is kept, before anything changes.
CHANGE = ["arguments_taken", "keep"]


def test_converged_means_no_command(converged: Any, run: Callable[..., Any]) -> None:
    assert service(run) == []


def test_a_changed_unit_is_written_and_restarted_once(
    converged: Any, run: Callable[..., Any]
) -> None:
    converged.facts[PathStates] = lambda paths: right(ENVIRONMENT, QUESTION_FILE)
    converged.facts[DockerContainer] = container("old")
    assert service(run) == [
        *CHANGE,
        "put /etc/systemd/system/vllm.service",
        "systemctl daemon-reload",
        "started",
    ]


def test_a_plan_says_which_arguments_change_and_that_the_service_is_away(
    converged: Any, run: Callable[..., Any]
) -> None:
    converged.facts[PathStates] = lambda paths: right(ENVIRONMENT, QUESTION_FILE)
    converged.facts[DockerContainer] = container("old")
    converged.facts[FileContents] = lambda path: ["  --max-num-seqs=64 \\", "  --gone"]
    foreseen.listen(converged)
    service(run)
    words = [one.words for one in foreseen.foreseen(converged)[None]]
    assert "--gone is gone" in words
    assert "--max-num-seqs is gone (was 64)" in words
    assert [word for word in words if word.startswith("restarts vllm.service: it does not serve")]
    assert "changes /etc/systemd/system/vllm.service" in words or (
        "creates /etc/systemd/system/vllm.service" in words
    )


def test_a_run_killed_before_the_restart_is_finished_by_the_next(
    converged: Any, run: Callable[..., Any]
) -> None:
    converged.facts[DockerContainer] = container("old")
    assert service(run) == [*CHANGE, "started"]


def test_a_run_killed_before_the_reload_is_finished_by_the_next(
    converged: Any, run: Callable[..., Any]
) -> None:
    converged.facts[SystemdUnit] = Unit("loaded", "active", True, True, "1")
    converged.facts[DockerContainer] = container("old")
    assert service(run) == [*CHANGE, "systemctl daemon-reload", "started"]


@pytest.mark.parametrize("state", ["failed", "inactive"])
def test_a_stopped_unit_is_started(state: str, converged: Any, run: Callable[..., Any]) -> None:
    converged.facts[SystemdUnit] = Unit("loaded", state, True, False, "1")
    converged.facts[DockerContainer] = None
    assert service(run) == ["arguments_taken", "started"]


def test_a_unit_that_is_still_loading_the_right_thing_is_left_alone(
    converged: Any, run: Callable[..., Any]
) -> None:
    converged.facts[SystemdUnit] = Unit("loaded", "activating", True, False, "1")
    assert service(run) == []


def test_another_image_means_another_hash(converged: Any, run: Callable[..., Any]) -> None:
    converged.facts[DockerImage] = replace(IMAGE, id="sha256:" + "2" * 64)
    assert service(run)[-1] == "started"


def test_an_image_from_a_registry_is_pinned_by_digest(scripted: Any) -> None:
    assert Image("sha256:1", ("vllm@sha256:2",)).pinned == "vllm@sha256:2"
    assert Image("sha256:1", ()).pinned == "sha256:1"


@pytest.mark.parametrize("unanswered", [DockerImage, DockerContainer])
def test_a_daemon_that_does_not_answer_restarts_no_engine(
    converged: Any, run: Callable[..., Any], unanswered: type
) -> None:
    converged.facts[unanswered] = NoAnswer()
    outcome = run(engine.service, render=render, **SERVICE)
    assert outcome.shell == []
    assert outcome.failure == UNANSWERED


def test_an_image_that_is_there_is_not_pulled(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts.update({DockerImage: IMAGE, SystemdUnit: None})
    assert run(engine.image, reference="vllm:v1").commands == []


def test_a_pull_that_nobody_wants_any_more_ends(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts.update({DockerImage: IMAGE, SystemdUnit: ACTIVE})
    (command,) = run(engine.image, reference="vllm:v1").commands
    scripted.answers = [(True, ("running", "yes", "vllm:v2", ""), ()), (True, (), ())]
    assert command.function(None, scripted, *command.args)
    assert scripted.logged == ["ended: the download of vllm:v2, which is no longer wanted"]
    assert scripted.ran[-1].startswith("systemctl stop rocminfra-image ")


@pytest.mark.parametrize("operation", [engine.image, engine.image_started])
def test_a_missing_image_is_fetched_by_a_job_that_knows_for_what(
    scripted: Any, run: Callable[..., Any], operation: Any
) -> None:
    scripted.facts.update({DockerImage: None, PathStates: {}})
    outcome = run(operation, reference="vllm:v1", archive="/srv/a b.tar")
    (job,) = outcome.commands[-1].args
    assert (job.unit, job.target) == ("rocminfra-image", "vllm:v1 --archive /srv/a b.tar")
    assert job.script.endswith("rocminfra.host.fetch.image vllm:v1 --archive '/srv/a b.tar'")
    assert outcome.failure is None
    assert any(path.endswith("host/fetch/image.py") for path in outcome.uploads)


def test_a_head_start_that_cannot_be_made_is_no_failure(scripted: Any) -> None:
    job = engine.image_job("vllm:v1", None)
    scripted.answers = [(True, ("ended", "no", "", ""), ()), (False, (), ("no systemd",))]
    assert engine._begin(None, scripted, job)
    assert failures(scripted) == ()


def test_ready_asks_once_when_it_is(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts.update({EngineReadiness: EngineStatus("ready"), KeptFiles: None})
    assert run(engine.ready, **QUESTION, timeout_s=60).commands == []
    assert len(scripted.asked) == 2


def test_an_engine_that_serves_needs_no_way_back(scripted: Any, run: Callable[..., Any]) -> None:
    """A run was killed between the first answer of the engine and the end of the way back."""
    scripted.facts.update({EngineReadiness: EngineStatus("ready"), KeptFiles: Kept("old", "{}")})
    shell = run(engine.ready, **QUESTION, timeout_s=60).shell
    assert shell == ["rm -rf /var/lib/rocminfra/before/engine"]


def waiting(scripted: Any, run: Callable[..., Any], answers: list[EngineStatus]) -> bool:
    """Run the wait that the operation yields, with one answer after the other."""
    scripted.facts[EngineReadiness] = lambda **_: answers.pop(0)
    scripted.facts[KeptFiles] = None
    scripted.answers = [(True, (), ())]
    (command,) = run(engine.ready, **QUESTION, timeout_s=60).commands
    assert isinstance(command, FunctionCommand)
    return bool(command.function(None, scripted, *command.args))


def test_waits_while_it_loads_and_shows_the_last_log_line(
    scripted: Any, run: Callable[..., Any]
) -> None:
    loading = EngineStatus("loading", "no answer", log=("Loading weights took 3 s",))
    assert waiting(scripted, run, [loading, loading, loading, EngineStatus("ready")])
    assert all("Loading weights took 3 s" in line for line in scripted.logged)
    assert len(scripted.logged) == 2


@pytest.mark.parametrize("state", ["dead", "wrong"])
def test_a_dead_or_wrong_engine_ends_the_wait_with_its_log(
    state: str, scripted: Any, run: Callable[..., Any]
) -> None:
    status = EngineStatus(state, "because", log=("CUDA out of memory",))
    assert not waiting(scripted, run, [EngineStatus("loading"), status])
    (failure,) = failures(scripted)
    assert failure.kind is ExitCode.NOT_READY
    assert "because" in failure.what
    assert failure.why == ("CUDA out of memory",)
    assert next_of(failure) is not None


def test_the_deadline_ends_the_wait(scripted: Any) -> None:
    scripted.facts[EngineReadiness] = lambda **_: EngineStatus("loading", "slow")
    scripted.facts[KeptFiles] = None
    assert not engine._wait_until_ready(None, scripted, QUESTION, timeout_s=0)
    assert "gave up after" in failures(scripted)[0].what
