"""A point's process is a copy of one that has imported GuideLLM, and is as one that has not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import is_gone
from fake_guidellm import FakeEnvironment

from rocminfra.host.bench import guidellm_launcher, warm_process
from rocminfra.host.bench.control_group import Process, ProcessGroups, Running
from rocminfra.host.bench.warm_launcher import WarmLauncher
from rocminfra.planning.bench.guidellm_spec import command

PATIENCE_S = 60.0
ENVIRONMENT = {"PATH": os.environ["PATH"], "GUIDELLM__MP_CONTEXT_TYPE": "forkserver"}


@pytest.fixture
def guidellm(tmp_path: Path) -> FakeEnvironment:
    return FakeEnvironment(tmp_path / "guidellm")


@pytest.fixture
def launcher() -> Iterator[WarmLauncher]:
    with WarmLauncher(ProcessGroups(grace_s=0.2), "test", PATIENCE_S) as warm:
        yield warm


class Points:
    """Starts points of a run."""

    def __init__(self, folder: Path, guidellm: FakeEnvironment) -> None:
        self.folder = folder
        self._guidellm = guidellm

    def start(self, launcher: Any, name: str, **environment: str) -> Running:
        folder = self.folder / name
        folder.mkdir()
        (folder / "guidellm.json").write_text('{"seed": 7}')
        words = command(self._guidellm.python, guidellm_launcher.__file__)
        with (folder / "stdout.log").open("wb") as out, (folder / "stderr.log").open("wb") as err:
            given = {**ENVIRONMENT, **environment}
            running: Running = launcher.start(name, words, folder, given, out, err)
        return running

    def found(self, name: str) -> dict[str, Any]:
        path = self.folder / name / "found.json"
        wait_for(path.exists)
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def note(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / name / "launch.json").read_text())
        return found

    def measure(self, launcher: Any, name: str) -> tuple[dict[str, Any], Running]:
        running = self.start(launcher, name)
        assert running.wait(PATIENCE_S) == 0, (self.folder / name / "stderr.log").read_text()
        running.end()
        return self.found(name), running


@pytest.fixture
def points(tmp_path: Path, guidellm: FakeEnvironment) -> Points:
    (tmp_path / "run").mkdir()
    return Points(tmp_path / "run", guidellm)


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_points_of_one_warm_process_are_like_fresh_ones(
    launcher: WarmLauncher, points: Points, guidellm: FakeEnvironment
) -> None:
    guidellm.set(**{"import": "logs"})
    first, one = points.measure(launcher, "first")
    second, two = points.measure(launcher, "second")
    fresh, three = points.measure(ProcessGroups(0.2), "fresh")
    assert one.origin == two.origin == {"process": "forked", "parent": first["imported"]}
    assert three.origin == {"process": "fresh"}
    assert first["pid"] != second["pid"]
    assert first["imported"] == second["imported"] != first["pid"]
    for name, found in (("first", first), ("second", second)):
        assert found["session"] == found["pid"], "a session of its own"
        assert found["cwd"] == str(points.folder / name)
        said = (points.folder / name / "stdout.log").read_text()
        assert said == f"out of {found['pid']}\n"
        assert f"error of {found['pid']}" in (points.folder / name / "stderr.log").read_text()
        assert found["same"].pop("state") == {"points": 1, "settings": 1, "log": 1}
    # A fresh one starts its log when it is imported, here with a thread.
    assert fresh["same"].pop("state") == {"points": 1, "settings": 0, "log": 0}
    assert fresh["same"].pop("threads") == 2
    assert first["same"].pop("threads") == second["same"].pop("threads") == 1
    assert first["same"] == second["same"] == fresh["same"]
    for draws in zip(first["unseeded"], second["unseeded"], strict=True):
        assert draws[0] != draws[1], "no two points draw the same random numbers"


def test_workers_are_forked_from_the_same_imports(launcher: WarmLauncher, points: Points) -> None:
    found, running = points.measure(launcher, "first")
    parent = running.origin["parent"]
    assert found["worker"]["imported"] == parent
    assert found["worker"]["pid"] not in (parent, found["pid"])
    assert found["worker"]["gives_stacks"], "a hung worker shows where"
    assert points.note("first")["workers"] == "warm"
    left = {path.name for path in (points.folder / "first").iterdir()}
    assert not left & {"workers.sock", "workers.sh"}


def test_the_end_of_a_point_is_the_end_of_its_workers_and_not_of_the_warm_process(
    launcher: WarmLauncher, points: Points, guidellm: FakeEnvironment
) -> None:
    guidellm.set(point="waits")
    running = points.start(launcher, "first")
    found = points.found("first")
    assert not is_gone(found["worker"]["pid"])
    running.end()
    assert is_gone(found["pid"])
    assert is_gone(found["worker"]["pid"])
    assert not is_gone(running.origin["parent"])
    assert running.wait(0) == -signal.SIGTERM


def test_after_a_kill_the_next_point_has_another_warm_process(
    launcher: WarmLauncher, points: Points, guidellm: FakeEnvironment
) -> None:
    guidellm.set(point="waits")
    killed = points.start(launcher, "first")
    points.found("first")
    killed.end()
    guidellm.set()
    _, repeated = points.measure(launcher, "repeat")
    assert repeated.origin["process"] == "forked"
    assert repeated.origin["parent"] != killed.origin["parent"]
    assert is_gone(killed.origin["parent"])


@pytest.mark.parametrize(
    ("modes", "code"),
    [({"code": 3}, 3), ({"code": "no backend"}, 1), ({"point": "dies"}, -signal.SIGKILL)],
)
def test_exit_codes_arrive(
    launcher: WarmLauncher,
    points: Points,
    guidellm: FakeEnvironment,
    modes: dict[str, Any],
    code: int,
) -> None:
    guidellm.set(**modes)
    running = points.start(launcher, "first")
    assert running.wait(PATIENCE_S) == code
    running.end()


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("fails", "the warm process ended: ImportError: no module named torch"),
        ("hangs", "the warm process did not import GuideLLM within 0.5 s"),
        ("starts a thread", "the warm process did not fork: it has 2 threads"),
        ("makes an event loop", "the warm process did not fork: it has an event loop"),
        ("starts a process", "the warm process did not fork: it has started processes"),
    ],
)
def test_without_a_warm_process_a_point_is_started_afresh_and_the_reason_is_kept(
    points: Points, guidellm: FakeEnvironment, how: str, why: str
) -> None:
    guidellm.set(**{"import": how})
    before = _warm_processes()
    with WarmLauncher(
        ProcessGroups(grace_s=0.2), "test", 0.5 if how == "hangs" else PATIENCE_S
    ) as warm:
        first = points.start(warm, "first")
        first.end()
        assert first.origin == {"process": "fresh", "why_fresh": why}
        guidellm.set()
        # It is not tried again in this run.
        _, second = points.measure(warm, "second")
        assert second.origin == first.origin
    assert _warm_processes() == before


def test_another_version_of_guidellm_is_started_afresh(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    points = Points(tmp_path / "run", FakeEnvironment(tmp_path / "guidellm", "0.9.0"))
    before = _warm_processes()
    with WarmLauncher(ProcessGroups(grace_s=0.2), "test", PATIENCE_S) as warm:
        _, running = points.measure(warm, "first")
    why = "no warm process: GuideLLM is 0.9.0, and only 0.8.1 is known to stand it"
    assert running.origin == {"process": "fresh", "why_fresh": why}
    assert points.note("first")["patched"] is False
    assert _warm_processes() == before


def test_a_python_that_is_missing_is_an_error_as_ever(
    launcher: WarmLauncher, points: Points, guidellm: FakeEnvironment
) -> None:
    Path(guidellm.python).unlink()
    with pytest.raises(FileNotFoundError):
        points.start(launcher, "first")


def test_other_variables_need_another_warm_process(launcher: WarmLauncher, points: Points) -> None:
    first = points.start(launcher, "first")
    assert first.wait(PATIENCE_S) == 0
    second = points.start(launcher, "second", HF_HUB_OFFLINE="1")
    assert second.wait(PATIENCE_S) == 0
    assert points.found("second")["same"]["environment"]["HF_HUB_OFFLINE"] == "1"
    assert first.origin["parent"] != second.origin["parent"]


def test_a_point_survives_the_death_of_its_warm_process_and_the_next_has_a_new_one(
    launcher: WarmLauncher, points: Points, guidellm: FakeEnvironment
) -> None:
    guidellm.set(point="waits for go", code=4)
    running = points.start(launcher, "first")
    points.found("first")
    os.kill(running.origin["parent"], signal.SIGKILL)
    assert running.wait(0.3) is None
    (guidellm.home / "go").touch()
    assert running.wait(PATIENCE_S) == 4, "as its launcher noted"
    running.end()
    guidellm.set()
    _, after = points.measure(launcher, "second")
    assert after.origin["process"] == "forked"
    assert after.origin["parent"] != running.origin["parent"]


def test_a_warm_process_that_hangs_holds_nothing_up(
    launcher: WarmLauncher,
    points: Points,
    guidellm: FakeEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warm_process, "NOTICE_S", 0.2)
    monkeypatch.setattr(warm_process, "FORK_S", 0.2)
    guidellm.set(point="waits for go", code=4)
    running = points.start(launcher, "first")
    points.found("first")
    os.kill(running.origin["parent"], signal.SIGSTOP)
    (guidellm.home / "go").touch()
    assert running.wait(PATIENCE_S) == 4
    running.end()
    after = points.start(launcher, "second")
    assert after.wait(PATIENCE_S) == 4
    why = "the warm process did not fork within 0.2 s"
    assert after.origin == {"process": "fresh", "why_fresh": why}
    assert is_gone(running.origin["parent"])
    third = points.start(launcher, "third")
    assert third.origin["process"] == "forked", "one that has worked is replaced"
    third.end()


class Refusing(ProcessGroups):
    """As a host whose systemd does not make a scope."""

    adopted: Process | None = None

    def adopt(self, name: str, process: Process) -> Running:
        self.adopted = process
        raise OSError("systemd's StartTransientUnit: Access denied")


def test_a_process_that_gets_no_control_group_of_its_own_does_nothing(points: Points) -> None:
    groups = Refusing(grace_s=0.2)
    with WarmLauncher(groups, "test", PATIENCE_S) as warm:
        _, running = points.measure(warm, "first")
        assert running.origin["why_fresh"] == "systemd's StartTransientUnit: Access denied"
    assert groups.adopted is not None
    assert is_gone(groups.adopted.pid)
    assert points.found("first")["pid"] != groups.adopted.pid


OWNER = """
import sys, time
sys.path[:0] = {path!r}
from pathlib import Path
from test_warm_launcher import FakeEnvironment, Points, ProcessGroups, WarmLauncher
home = Path({home!r})
points = Points.__new__(Points)
points.folder = home / "run"
points._guidellm = FakeEnvironment.__new__(FakeEnvironment)
points._guidellm.home = home / "guidellm"
with WarmLauncher(ProcessGroups(0.2), "test", 60.0) as warm:
    running = points.start(warm, "first")
    print(running.origin["parent"], running.pid, flush=True)
    time.sleep(600)
"""


def test_a_runner_that_is_killed_leaves_nothing_behind(
    points: Points, guidellm: FakeEnvironment, tmp_path: Path
) -> None:
    guidellm.set(point="waits")
    here = [str(Path(__file__).parent), str(Path(__file__).parents[3])]
    script = OWNER.format(path=here, home=str(tmp_path))
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout:
        told = [int(word) for word in owner.stdout.readline().split()]
    found = points.found("first")
    owner.kill()
    owner.wait()
    for pid in (*told, found["worker"]["pid"]):
        wait_for(lambda pid=pid: is_gone(pid))  # type: ignore[misc]


def _warm_processes() -> list[str]:
    words = ["pgrep", "--parent", str(os.getpid()), "--full", "warm_parent.py"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
