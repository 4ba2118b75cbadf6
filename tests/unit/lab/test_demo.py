"""``make demo``: what it refuses, and what it does not take for a success."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rocminfra.failure import ExitCode
from rocminfra.lab import demo, lock, processes
from rocminfra.lab.paths import LabPaths

Calls = list[list[str]]
Answer = Callable[[list[str]], str]


@pytest.fixture(autouse=True)
def nothing_runs(paths: LabPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root on a machine without a lab, on which no command is ever run."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(lock, "default_paths", lambda: paths)
    monkeypatch.setattr(processes, "end", lambda pids: tuple(pids))


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], Calls]:
    """Answers the demo's commands instead of running them; returns what was called."""

    def answered(answer: Answer) -> Calls:
        calls: Calls = []

        def call(command: list[str], capture: bool = False) -> str:
            del capture
            calls.append(command)
            return answer(command)

        monkeypatch.setattr(demo, "_call", call)
        return calls

    return answered


def _second_run(*changed: str) -> str:
    operations = [{"name": name, "success": 1, "error": 0} for name in changed]
    operations.append({"name": "Scratch disk", "success": 0, "error": 0})
    return json.dumps({"results": {"operations": operations}})


def _good(command: list[str]) -> str:
    return _second_run() if "--json" in command else "the same"


def test_it_deploys_twice_and_then_measures(
    stages: Callable[[Answer], Calls], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = stages(_good)
    assert demo.main() == 0
    deploys = [index for index, call in enumerate(calls) if "deploy.py" in call]
    assert len(deploys) == 2
    assert "tasks/benchmark.py" in calls[-1]
    assert all("--limit" in calls[index] and "demo" in calls[index] for index in deploys)
    error = capsys.readouterr().err
    assert "no changes, no restarts" in error
    assert "make clean-lab" in error


@pytest.mark.parametrize(
    ("second_run", "words"),
    [("change", "the second run changed: vllm.service"), ("restart", "restarted something")],
)
def test_a_second_run_that_does_something_is_a_failure(
    second_run: str,
    words: str,
    stages: Callable[[Answer], Calls],
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = iter(["before", "after"])

    def answer(command: list[str]) -> str:
        if "--json" in command:
            return _second_run("vllm.service") if second_run == "change" else _second_run()
        return next(seen) if "ssh" in command and second_run == "restart" else "same"

    calls = stages(answer)
    assert demo.main() == 1
    assert not any("tasks/benchmark.py" in call for call in calls)
    error = capsys.readouterr().err
    assert words in error
    assert error.splitlines()[-1] == "next: .venv/bin/rocminfra lab logs demo; make clean-lab"


def test_a_second_demo_is_told_of_the_first(
    paths: LabPaths, stages: Callable[[Answer], Calls], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = stages(_good)
    with lock.exclusive("demo", folder=paths.locks):
        assert demo.main() == ExitCode.LOCKED
    assert calls == []
    error = capsys.readouterr().err
    assert f"another demo is running: process {os.getpid()} " in error
    assert "next: " in error


def test_without_root_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
    stages: Callable[[Answer], Calls],
    capsys: pytest.CaptureFixture[str],
    paths: LabPaths,
) -> None:
    calls = stages(_good)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert demo.main() == ExitCode.UNFIT
    assert capsys.readouterr().err.splitlines()[-1] == "next: sudo make demo"
    assert calls == []
    assert not Path(paths.state).exists()
