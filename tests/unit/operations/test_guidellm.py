"""GuideLLM's environment: made once, whole or again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from failing import next_of
from pyinfra import state

from rocminfra.facts.guidellm import GuidellmEnvironment
from rocminfra.facts.packages import InstalledPackages
from rocminfra.facts.programs import HostPrograms
from rocminfra.facts.release import HostRelease, PythonVersion
from rocminfra.facts.wheels import WheelFolder
from rocminfra.failure import ExitCode
from rocminfra.operations.guidellm import environment, environment_started, gate, gate_wheels
from rocminfra.operations.host_failures import failures
from rocminfra.planning.releases import OsRelease
from rocminfra.planning.wheels import Wheel, WheelLook

PIP = Path(__file__).parents[2] / "recorded/pip"
# `python3 -m venv FOLDER`, and in it a Python whose pip says what pip once said.
PYTHON = """#!/bin/sh
mkdir -p "$3/bin"; touch "$3/pyvenv.cfg"
cat >"$3/bin/python" <<'END'
#!/bin/sh
if test "$1" = --version; then echo Python 3.99.0; exit; fi
head -n -1 ANSWER >&2
exit "$(tail -n 1 ANSWER | cut -d ' ' -f 3)"
END
printf '#!/bin/sh\n' >"$3/bin/guidellm"
chmod +x "$3"/bin/*
"""
PATH = "/opt/rocminfra/guidellm-0.8.1"
WANTED = "guidellm[vision]==0.8.1 torch==2.13.0"


def make(run: Callable[..., Any], **changes: Any) -> list[str]:
    arguments = {"path": PATH, "version": "0.8.1", "torch_version": "2.13.0", **changes}
    shell: list[str] = run(environment, **arguments).shell
    return shell


@pytest.fixture
def fresh(scripted: Any) -> Any:
    scripted.facts.update(
        {
            GuidellmEnvironment: None,
            PythonVersion: (3, 11),
            HostPrograms: frozenset({"python3 -m venv", "python3 -m ensurepip"}),
        }
    )
    return scripted


def test_a_complete_environment_is_left_alone(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[GuidellmEnvironment] = WANTED
    assert make(run) == []
    assert scripted.noops == [f"{PATH} holds {WANTED}"]


@pytest.mark.parametrize("found", [None, "guidellm[vision]==0.8.1 torch==2.12.0"])
def test_a_half_made_or_other_one_is_made_again(
    fresh: Any, run: Callable[..., Any], found: str | None
) -> None:
    fresh.facts[GuidellmEnvironment] = found
    shell = make(run)
    assert shell[0].endswith(
        f"rm -rf {PATH} && mkdir -p {PATH} && TMPDIR={PATH} python3 -m venv {PATH}"
    )
    assert "no virtual environment: move it away" in shell[0], "a path of somebody else's"
    assert "--no-compile" in shell[1]
    assert shell[1].split(" ||")[0].endswith("torch==2.13.0 'guidellm[vision]==0.8.1'")


def test_the_marker_comes_last_and_only_after_guidellm_has_answered(
    fresh: Any, run: Callable[..., Any]
) -> None:
    *before, last = make(run)
    assert last.index("guidellm --version") < last.index("&&") < last.index(f"> {PATH}/.complete")
    assert f"'{WANTED}'" in last
    assert not any(".complete" in command for command in before)


def test_an_index_with_cpu_builds_is_the_only_one_asked_for_torch(
    fresh: Any, run: Callable[..., Any]
) -> None:
    shell = make(run, torch_index_url="https://download.example.org/whl/cpu")
    uv, torch, rest = shell[1:4]
    assert uv.endswith(" uv || true"), "without uv, pip does it all"
    by_uv, by_pip = torch.split(" || ")
    assert "/bin/uv pip install" in by_uv
    assert by_uv.endswith("--default-index https://download.example.org/whl/cpu torch==2.13.0")
    assert by_pip.endswith("--index-url https://download.example.org/whl/cpu torch==2.13.0")
    assert "-index" not in rest
    assert "pip config list" in rest, "what pip is configured with is unknown to uv"


def test_a_folder_of_wheels_is_all_that_is_asked(fresh: Any, run: Callable[..., Any]) -> None:
    shell = make(run, wheels="/srv/my wheels")
    uv, rest = shell[1:3]
    alone = "--isolated --only-binary :all: --no-index --find-links '/srv/my wheels'"
    assert f"PIP_CONFIG_FILE=/dev/null TMPDIR={PATH} {PATH}/bin/python -m pip install" in uv
    assert f"{alone} uv 2>/dev/null || true" in uv
    by_uv, by_pip = rest.split("; else ")
    assert "--offline --no-build --no-index --find-links '/srv/my wheels'" in by_uv
    assert alone in by_pip
    for command in (by_uv, by_pip):
        assert "torch==2.13.0 'guidellm[vision]==0.8.1'" in command
    assert f"rm -rf {PATH}/.uv" in shell[-1], "uv's cache goes"


def test_without_either_uv_is_not_used(fresh: Any, run: Callable[..., Any]) -> None:
    assert not any("uv" in command for command in make(run)[:-1])


LOOK = WheelLook(
    wheels=(
        Wheel("guidellm-0.8.1-py3-none-any.whl", ("torch", 'pillow; extra == "vision"')),
        Wheel("pillow-12.0-cp311-cp311-manylinux_2_28_x86_64.whl", ()),
        Wheel("torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl", ()),
    ),
    markers={
        "implementation_name": "cpython",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "python_version": "3.11",
    },
    glibc=(2, 36),
)


@pytest.mark.parametrize(("look", "found"), [(LOOK, None), (replace(LOOK, kind="missing"), WANTED)])
def test_a_folder_that_is_enough_or_an_environment_that_is_there_passes(
    scripted: Any, look: WheelLook, found: str | None
) -> None:
    scripted.facts.update({GuidellmEnvironment: found, WheelFolder: look})
    gate_wheels(path=PATH, version="0.8.1", torch_version="2.13.0", wheels="/srv/wheels")
    gate_wheels(path=PATH, version="0.8.1", torch_version="2.13.0", wheels=None)
    assert failures(scripted) == ()


@pytest.mark.parametrize(
    ("look", "why"),
    [
        (replace(LOOK, kind="missing", wheels=()), "there is no such folder on the host"),
        (replace(LOOK, wheels=()), "it holds no wheel"),
        (replace(LOOK, wheels=LOOK.wheels[1:]), "no wheel of guidellm[vision]==0.8.1"),
        (
            replace(LOOK, markers={**LOOK.markers, "python_version": "3.12"}),
            f"{LOOK.wheels[2].file} is for another Python or machine",
        ),
        (
            replace(LOOK, wheels=(LOOK.wheels[0], LOOK.wheels[2])),
            "no wheel of pillow, which guidellm-0.8.1-py3-none-any.whl needs",
        ),
    ],
)
def test_a_folder_that_is_not_enough_takes_the_host_out_untouched(
    scripted: Any, look: WheelLook, why: str
) -> None:
    scripted.facts.update({GuidellmEnvironment: None, WheelFolder: look})
    state.active_hosts.add(scripted)
    gate_wheels(path=PATH, version="0.8.1", torch_version="2.13.0", wheels="/srv/wheels")
    (failure,) = failures(scripted)
    assert failure.kind is ExitCode.UNFIT
    assert failure.what == f"{WANTED} cannot be installed from /srv/wheels"
    assert why in failure.why
    python = look.markers["python_version"]
    assert failure.why[-1] == f"the host has CPython {python} on x86_64 with glibc 2.36"
    assert (
        "python3 -m pip download --only-binary :all: --dest wheels 'guidellm[vision]==0.8.1' "
        "torch==2.13.0 uv; copy them to /srv/wheels on the host"
    ) in next_of(failure)
    assert scripted in state.failed_hosts


def test_wheels_that_could_not_be_installed_are_named_as_the_cause(
    fresh: Any, run: Callable[..., Any]
) -> None:
    arguments = {"path": PATH, "version": "0.8.1", "torch_version": "2.13.0"}
    (command,) = run(environment, **arguments, wheels="/srv/wheels").commands
    ended = (True, ("ended 1", "yes", "x", "", "error: bad CRC"), ())
    fresh.answers = [(True, ("ended", "no", "", ""), ()), (True, (), ()), ended]
    assert not command.function(None, fresh, *command.args)
    (failure,) = failures(fresh)
    assert failure.why == ("error: bad CRC",)
    assert "wheels in /srv/wheels are whole" in next_of(failure)


def test_venv_is_installed_only_where_it_is_missing(fresh: Any, run: Callable[..., Any]) -> None:
    assert not any("apt-get" in command for command in make(run))
    fresh.facts.update({InstalledPackages: frozenset(), HostPrograms: {"python3 -m venv"}})
    (install,) = (command for command in make(run) if "apt-get" in command)
    assert install.startswith("apt-get install python3-venv where offered: ")
    assert "python3.11-venv" in install, "python3 may be another than Debian's"


@pytest.mark.parametrize("python", [(3, 9), None])
def test_a_host_whose_python_is_too_old_is_taken_out_untouched(
    scripted: Any, python: tuple[int, int] | None
) -> None:
    bullseye = OsRelease("debian", "11", "Debian GNU/Linux 11 (bullseye)")
    scripted.facts.update({PythonVersion: python, GuidellmEnvironment: None, HostRelease: bullseye})
    state.active_hosts.add(scripted)
    gate(path=PATH, version="0.8.1", torch_version="2.13.0")
    (failure,) = failures(scripted)
    assert failure.kind is ExitCode.UNFIT
    has = "has 3.9" if python else "has none"
    assert failure.what == (
        "GuideLLM 0.8.1 needs Python 3.10 or newer as python3, and "
        f"Debian GNU/Linux 11 (bullseye) {has}"
    )
    assert "Debian 12" in next_of(failure)
    assert scripted in state.failed_hosts


@pytest.mark.parametrize(("python", "found"), [((3, 10), None), ((3, 13), None), ((3, 9), WANTED)])
def test_a_python_that_will_do_or_a_complete_environment_is_enough(
    scripted: Any, python: tuple[int, int], found: str | None
) -> None:
    scripted.facts.update({PythonVersion: python, GuidellmEnvironment: found})
    gate(path=PATH, version="0.8.1", torch_version="2.13.0")
    assert failures(scripted) == ()


def test_a_marker_is_read_as_text_and_its_absence_as_none() -> None:
    fact = GuidellmEnvironment()
    asked = "! test -f '/opt/a b/.complete' || cat '/opt/a b/.complete'"
    assert asked in str(fact.command(path="/opt/a b"))
    fact = GuidellmEnvironment()
    assert fact.process([WANTED]) == WANTED
    assert fact.process([]) is None


def test_recordings_are_of_both_outcomes() -> None:
    codes = {file.name: file.read_text().split()[-1] for file in PIP.glob("*.txt")}
    assert codes == {
        "bullseye-refused.txt": "1",
        "bullseye-unreachable.txt": "1",
        "trixie-resolved.txt": "0",
        "trixie-unreachable.txt": "1",
    }


@pytest.mark.parametrize("answer", sorted(PIP.glob("*.txt")), ids=lambda file: str(file.stem))
def test_what_pip_has_said_on_a_release_is_handed_on(
    fresh: Any, run: Callable[..., Any], tmp_path: Path, answer: Path
) -> None:
    program = tmp_path / "python3"
    program.write_text(PYTHON.replace("ANSWER", str(answer)))
    program.chmod(0o755)
    path = tmp_path / "environment"
    code = 0
    for command in make(run, path=str(path)):
        done = subprocess.run(
            ["sh", "-c", command],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        code = done.returncode
        if code:
            break
    *said, last = answer.read_text().splitlines()
    assert code == int(last.split()[-1])
    assert (path / ".complete").exists() == (code == 0)
    if code:
        assert done.stderr.splitlines() == said


@pytest.mark.parametrize("code", [0, 1])
def test_it_is_installed_by_a_job_whose_words_are_the_failures(
    fresh: Any, run: Callable[..., Any], code: int
) -> None:
    arguments = {"path": PATH, "version": "0.8.1", "torch_version": "2.13.0"}
    (command,) = run(environment, **arguments).commands
    ended = (True, (f"ended {code}", "yes", "x", "", "ERROR: No matching distribution"), ())
    fresh.answers = [(True, ("ended", "no", "", ""), ()), (True, (), ()), ended, (True, (), ())]
    assert command.function(None, fresh, *command.args) == (code == 0)
    assert "systemd-run --quiet --collect --unit=rocminfra-guidellm " in fresh.ran[1]
    if code:
        (failure,) = failures(fresh)
        assert failure.what == f"pip could not install {WANTED}"
        assert failure.why == ("ERROR: No matching distribution",)
        assert f"{PATH}/bin/python -m pip index versions torch" in next_of(failure)


def test_pip_says_the_same_of_an_old_python_as_of_no_index() -> None:
    """Which is why the gate asks for the version instead of waiting for pip's answer."""
    refused, unreachable = (PIP / f"bullseye-{name}.txt" for name in ("refused", "unreachable"))
    assert refused.read_text() == unreachable.read_text()


def begin(fresh: Any, run: Callable[..., Any]) -> list[Any]:
    arguments = {"path": PATH, "version": "0.8.1", "torch_version": "2.13.0"}
    commands: list[Any] = run(environment_started, **arguments).commands
    return commands


def test_it_may_be_begun_early_and_is_not_waited_for(fresh: Any, run: Callable[..., Any]) -> None:
    (command,) = begin(fresh, run)
    fresh.answers = [(True, ("ended", "no", "", ""), ()), (True, (), ())]
    assert command.function(None, fresh, *command.args)
    assert "systemd-run --quiet --collect --unit=rocminfra-guidellm " in fresh.ran[1]
    assert fresh.answers == [], "nothing waits for its end"


def test_an_early_begin_that_fails_is_no_failure_of_the_host(
    fresh: Any, run: Callable[..., Any]
) -> None:
    (command,) = begin(fresh, run)
    fresh.answers = [(True, ("ended", "no", "", ""), ()), (False, (), ("no systemd",))]
    assert command.function(None, fresh, *command.args)
    assert failures(fresh) == ()
    assert "no systemd" in fresh.logged[-1]


def test_nothing_is_begun_where_it_is_there_or_cannot_be(
    fresh: Any, run: Callable[..., Any]
) -> None:
    fresh.facts[PythonVersion] = (3, 9)
    assert begin(fresh, run) == []
    fresh.facts.update({PythonVersion: (3, 11), GuidellmEnvironment: WANTED})
    assert begin(fresh, run) == []
