"""The engine's unit: what runs is judged by the running container, and restarted once."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
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
    scripted.facts[DockerImage] = IMAGE
    assert run(engine.image, reference="vllm:v1").commands == []


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker program that has the images of a file, and what it was asked in another one."""
    monkeypatch.setattr(engine, "RUN_FOLDER", str(tmp_path))
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/sh
cd {tmp_path} && echo "$@" >> asked && touch images
case $1 in
image) grep -qx "$3" images;;
pull) sleep "$SLOW" && echo "$3" >> images;;
load) test "$4" = "/srv/a b.tar" && echo "in archive" >> images;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("SLOW", "0")
    return tmp_path


def fetching(scripted: Any, run: Callable[..., Any], **arguments: str) -> str:
    scripted.facts[DockerImage] = None
    (command,) = run(engine.image, **arguments).shell
    return str(command)


def asked_of(docker: Path) -> list[str]:
    lines = (docker / "asked").read_text().splitlines()
    return [line for line in lines if not line.startswith("image inspect")]


def test_an_archive_is_loaded_and_must_hold_the_image(
    docker: Path, scripted: Any, run: Callable[..., Any]
) -> None:
    archive = {"archive": "/srv/a b.tar"}
    command = fetching(scripted, run, reference="in archive", **archive)
    assert subprocess.run(["sh", "-c", command], capture_output=True).returncode == 0
    assert asked_of(docker) == ["load --quiet --input /srv/a b.tar"]
    other = fetching(scripted, run, reference="it's other:v1", **archive)
    done = subprocess.run(["sh", "-c", other], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "the archive /srv/a b.tar holds no image it's other:v1\n"


def test_a_missing_image_is_pulled(docker: Path, scripted: Any, run: Callable[..., Any]) -> None:
    command = fetching(scripted, run, reference="vllm:v1")
    for _ in range(2):
        assert subprocess.run(["sh", "-c", command], capture_output=True).returncode == 0
    assert asked_of(docker) == ["pull --quiet vllm:v1"]


def test_a_fetch_in_the_background_is_waited_for_and_not_done_twice(
    docker: Path, scripted: Any, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = fetching(scripted, run, reference="vllm:v1")
    monkeypatch.setenv("SLOW", "0.3")
    with subprocess.Popen(["sh", "-c", command]) as background:
        done = subprocess.run(["sh", "-c", command], capture_output=True)
        assert (background.wait(), done.returncode) == (0, 0)
    assert asked_of(docker) == ["pull --quiet vllm:v1"]


def test_the_image_begins_to_come_in_a_unit_of_its_own(
    scripted: Any, run: Callable[..., Any]
) -> None:
    command = fetching(scripted, run, reference="vllm:v1")
    (started,) = run(engine.image_started, reference="vllm:v1").shell
    unit = re.search(r"--unit=(rocminfra-image-[0-9a-f]{8}) ", started)
    assert unit is not None
    assert started.startswith(f"systemctl is-active --quiet {unit[1]} || systemd-run ")
    assert f"{command.replace('$', '$$')} || echo the image is fetched later" in started
    assert "--wait" not in started
    (other,) = run(engine.image_started, reference="vllm:v2").shell
    assert unit[1] not in other
    scripted.facts[DockerImage] = IMAGE
    assert run(engine.image_started, reference="vllm:v1").commands == []


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
