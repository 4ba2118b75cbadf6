"""What serves is given up for something plausible only, and comes back when that does not serve."""

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

from rocminfra.facts.docker import Container, DockerContainer, DockerImage, Image
from rocminfra.facts.engine import EngineReadiness, EngineStatus
from rocminfra.facts.file_contents import FileContents
from rocminfra.facts.gpu_nodes import GpuNodes
from rocminfra.facts.kept_files import Kept, KeptFiles
from rocminfra.facts.paths import PathStates
from rocminfra.facts.system import Arch
from rocminfra.facts.systemd_unit import SystemdUnit, Unit
from rocminfra.failure import ExitCode, Failure, Fault
from rocminfra.operations import engine, engine_change
from rocminfra.operations.host_failures import failures
from rocminfra.operations.host_files import HostFile
from rocminfra.planning.engine_command import CONFIG_LABEL

IMAGE = Image("sha256:1", (), ("vllm", "serve"), "linux/amd64")
QUESTION: dict[str, str | int] = {
    "unit": "vllm.service",
    "container": "vllm",
    "port": 8000,
    "model": "m",
}
PATHS = ["/etc/systemd/system/vllm.service", "/etc/rocminfra/vllm.env"]
SERVING = Container("c1", True, "2026-05-13T00:00:00Z", ((CONFIG_LABEL, "a" * 64),), "sha256:1")
OK: Any = (True, (), ())


@pytest.fixture
def host(scripted: Any) -> Any:
    """A host on which an engine serves that is not the declared one."""
    files = {
        PATHS[0]: [f"ExecStart=docker run --label=rocminfra.config={'a' * 64}"],
        "/etc/rocminfra/vllm.json": json.dumps(QUESTION).splitlines(),
    }
    scripted.files = files
    scripted.facts.update(
        {
            Arch: "x86_64",
            DockerContainer: SERVING,
            DockerImage: IMAGE,
            EngineReadiness: EngineStatus("ready"),
            FileContents: lambda path: files.get(path),
            GpuNodes: (),
            KeptFiles: None,
            PathStates: {},
            SystemdUnit: Unit("loaded", "active", True, False, "1"),
        }
    )
    return scripted


def service(run: Callable[..., Any], container: str = "vllm") -> Any:
    return run(
        engine.service,
        unit="vllm.service",
        container=container,
        reference="vllm:v1",
        environment_file=HostFile(PATHS[1], "A=1\n", mode=0o600),
        render=lambda image, groups, label: f"{image} {groups} {label}\n",
        arguments=["m", "--seed=1"],
        port=8000,
        model="m",
    )


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (replace(IMAGE, entrypoint=()), "does not begin with `vllm serve`"),
        (replace(IMAGE, platform="linux/arm64"), "made for linux/arm64"),
    ],
)
def test_an_image_that_cannot_serve_changes_nothing(
    image: Image, words: str, host: Any, run: Callable[..., Any]
) -> None:
    host.facts[DockerImage] = image
    outcome = service(run)
    assert outcome.shell == []
    assert words in outcome.failure.what
    assert "nothing was changed" in outcome.failure.what


def test_the_image_is_asked_and_what_serves_is_kept_before_the_first_change(
    host: Any, run: Callable[..., Any]
) -> None:
    steps = service(run).steps
    assert steps[0] == "arguments_taken"
    assert f" keep /var/lib/rocminfra/before/engine {'a' * 64} " in steps[1]
    assert all(path in steps[1] for path in PATHS)
    assert steps[2].startswith("put ")


def asked(host: Any, *answer: Any) -> bool:
    host.answers = [answer]
    arguments = ["m", "--limit={'a b'}"]
    return engine_change.arguments_taken(None, host, "sha256:1", arguments, "VLLM_A=1\n")


def test_arguments_that_the_images_parser_refuses_stop_nothing(host: Any) -> None:
    assert not asked(host, False, (), ("vllm: error: unrecognized arguments: --seeed",))
    (failure,) = failures(host)
    assert failure.kind is ExitCode.SETTINGS
    assert failure.why == ("vllm: error: unrecognized arguments: --seeed",)
    assert "vllm.extra_args" in next_of(failure)
    (command,) = host.ran
    assert "systemctl" not in command
    assert "--device" not in command, "the GPU is the serving engine's"
    assert host.stdin == ["VLLM_A=1\n"], "variables are in no argument"


def test_an_image_that_cannot_say_is_no_obstacle(host: Any) -> None:
    assert asked(host, True, (), ("this image cannot be asked",))
    assert failures(host) == ()
    assert re.search(r"case \$code in 42\|43\) false;; esac$", host.ran[0])


def test_an_image_for_other_gpus_or_without_its_program_stops_nothing(host: Any) -> None:
    assert not asked(host, False, ("43",), ("its PyTorch is built for CUDA 12.8, not for ROCm",))
    (failure,) = failures(host)
    assert failure.fault is Fault.ENGINE_IMAGE_UNFIT
    assert failure.why == ("its PyTorch is built for CUDA 12.8, not for ROCm",)
    assert "nothing was changed" in failure.what
    assert "engine.image" in next_of(failure)


def test_the_program_that_the_image_begins_with_has_to_be_in_it(tmp_path: Path) -> None:
    """The script that runs in the image, with a program that is there and one that is not."""

    def looked(program: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", engine_change._IN_IMAGE, "raise SystemExit(7)", program, "m"],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    gone = looked("/opt/venv/bin/vllm")
    assert (gone.returncode, gone.stdout) == (43, "")
    assert "/opt/venv/bin/vllm: there is no such program in it" in gone.stderr
    (tmp_path / "vllm").write_text("#!/usr/bin/python3 -s\n")
    (tmp_path / "vllm").chmod(0o755)
    assert looked("vllm").returncode == 7


def kept_by(host: Any, question: dict[str, str | int] = QUESTION) -> list[str]:
    container = host.facts[DockerContainer]
    commands = engine_change.keep_serving(host, question, container, PATHS)
    return [str(command) for command in commands]


def test_a_run_cut_off_after_the_files_were_written_keeps_what_it_kept(host: Any) -> None:
    """The unit on disk is the new one already, and the engine from before still serves."""
    host.files[PATHS[0]] = ["ExecStart=docker run --label=rocminfra.config=new"]
    host.facts[KeptFiles] = Kept("a" * 64, "{}")
    assert kept_by(host) == []


def test_an_engine_that_has_not_served_yet_does_not_replace_what_was_kept(host: Any) -> None:
    host.facts[KeptFiles] = Kept("b" * 64, "{}")
    host.facts[EngineReadiness] = EngineStatus("loading")
    assert kept_by(host) == []
    host.facts[EngineReadiness] = EngineStatus("ready")
    (command,) = kept_by(host)
    assert f" keep /var/lib/rocminfra/before/engine {'a' * 64}" in command


@pytest.mark.parametrize("container", [None, replace(SERVING, running=False)])
def test_where_no_engine_runs_nothing_is_kept(container: Container | None, host: Any) -> None:
    host.facts[DockerContainer] = container
    host.facts[SystemdUnit] = Unit("loaded", "failed", True, False, "")
    assert kept_by(host) == []


@pytest.mark.parametrize("container", [None, replace(SERVING, labels=())])
def test_a_unit_that_runs_something_unknown_is_kept_as_well(
    container: Container | None, host: Any
) -> None:
    """Written by hand over ours, say: what it serves is not known, and it runs."""
    host.facts[DockerContainer] = container
    host.facts[SystemdUnit] = Unit("loaded", "active", True, False, "inv")
    (command,) = kept_by(host)
    assert " keep /var/lib/rocminfra/before/engine 'vllm.service inv' '' " in command
    host.facts[KeptFiles] = Kept("a" * 64, "{}")
    assert kept_by(host) == [], "what is known to have served is worth more"


def test_a_unit_of_which_nothing_is_known_is_back_without_being_asked(host: Any) -> None:
    host.facts[KeptFiles] = Kept("vllm.service inv", "")
    host.facts[EngineReadiness] = EngineStatus("dead")
    host.answers = [OK, OK]
    engine_change.fail_and_go_back(host, "vllm.service", NEW, 60)
    (failure,) = failures(host)
    assert failure.what == f"{NEW.what}; vllm.service as it was before is back"
    assert "systemctl restart vllm.service" in host.ran[0]
    assert host.ran[1] == "rm -rf /var/lib/rocminfra/before/engine"


def test_an_engine_under_another_name_is_found_by_its_own_question(host: Any) -> None:
    host.facts[DockerContainer] = lambda container: SERVING if container == "vllm" else None
    question = {**QUESTION, "container": "other", "port": 8001}
    (command,) = [str(c) for c in engine_change.keep_serving(host, question, None, PATHS)]
    assert '"container": "vllm"' in command
    assert '"port": 8000' in command


@pytest.mark.parametrize(("before", "after"), [("0.0.0.0", None), (None, "0.0.0.0")])
def test_an_engine_that_listened_elsewhere_is_asked_there(
    before: str | None, after: str | None, host: Any
) -> None:
    """Name, port and address change at once, and the one that serves is found all the same."""
    was = {**QUESTION, **({"address": before} if before else {})}
    host.files["/etc/rocminfra/vllm.json"] = [json.dumps(was)]
    host.facts[DockerContainer] = lambda container: SERVING if container == "vllm" else None
    question = {**QUESTION, "container": "other", "port": 8001}
    question.update({"address": after} if after else {})
    (command,) = [str(c) for c in engine_change.keep_serving(host, question, None, PATHS)]
    assert json.dumps(was) in command


@pytest.mark.parametrize("text", ["", "{", "[]", '{"unit": "x"}'])
def test_without_a_question_on_the_host_the_new_one_is_taken(text: str, host: Any) -> None:
    host.files["/etc/rocminfra/vllm.json"] = [text]
    (command,) = kept_by(host)
    assert '"port": 8000' in command


NEW = Failure(Fault.ENGINE_NOT_READY, "vllm.service does not serve m: dead", ("HIP out of memory",))


def back(host: Any, *answers: Any, status: EngineStatus | None = None) -> Failure:
    note = json.dumps({**QUESTION, "container": "before", "model": "m-before"})
    host.facts[KeptFiles] = Kept("a" * 64, note)
    host.facts[EngineReadiness] = status or EngineStatus("ready")
    host.answers = list(answers)
    engine_change.fail_and_go_back(host, "vllm.service", NEW, 60)
    (failure,) = failures(host)
    return failure


def test_the_engine_from_before_is_back_and_the_run_fails(host: Any) -> None:
    failure = back(host, OK, OK)
    assert failure.kind is ExitCode.NOT_READY
    assert failure.what == f"{NEW.what}; the engine from before is back and serves m-before"
    assert failure.why == ("HIP out of memory",)
    steps, dropping = host.ran
    order = ["systemctl stop", " restore ", "daemon-reload", "reset-failed", "systemctl restart"]
    places = [steps.index(word) for word in order]
    assert places == sorted(places)
    assert dropping == "rm -rf /var/lib/rocminfra/before/engine"
    (question,) = [given for fact, given in host.asked if fact is EngineReadiness]
    assert (question["container"], question["model"]) == ("before", "m-before")


def test_files_that_cannot_be_put_back_start_nothing_and_are_said(host: Any) -> None:
    failure = back(host, (False, (), ("No space left on device",)))
    assert failure.what.endswith("and the engine from before does not start either")
    assert failure.why == ("HIP out of memory", "No space left on device")
    assert len(host.ran) == 1, "what is kept stays kept"


def test_an_engine_from_before_that_does_not_serve_either_is_said(host: Any) -> None:
    failure = back(host, OK, status=EngineStatus("dead", "the unit failed", log=("no GPU",)))
    assert "does not serve m-before either: the unit failed" in failure.what
    assert failure.why == ("HIP out of memory", "no GPU")
    assert len(host.ran) == 1


def test_without_an_engine_from_before_it_only_fails(host: Any) -> None:
    engine_change.fail_and_go_back(host, "vllm.service", NEW, 60)
    assert failures(host) == (NEW,)
    assert host.ran == []


def test_a_unit_that_does_not_start_goes_back_too(host: Any) -> None:
    host.facts[KeptFiles] = Kept("a" * 64, json.dumps(QUESTION))
    host.answers = [(False, (), ("preflight: port 8001 is taken",)), OK, OK]
    assert not engine_change.started(None, host, "vllm.service", 60)
    (failure,) = failures(host)
    assert failure.what.startswith("vllm.service does not start; the engine from before is back")
    assert failure.why == ("preflight: port 8001 is taken",)
