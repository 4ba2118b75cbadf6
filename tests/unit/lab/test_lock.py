"""Locks of the lab: one holder, named, and gone with its process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from failing import said

from rocminfra.failure import ExitCode, FailedError
from rocminfra.lab import cleaning, lock, removal, requirements
from rocminfra.lab.paths import LabPaths

_HOLD = """
import pathlib, subprocess, sys
from rocminfra.lab.lock import exclusive
with exclusive("demo", folder=pathlib.Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
    print("held", child.pid, flush=True)
    sys.stdin.read()
"""


Holder = tuple["subprocess.Popen[str]", int]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    """Another process that holds the demo's lock, and the id of a program that it started."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    held, child = process.stdout.readline().split()
    assert held == "held"
    yield process, int(child)
    process.kill()
    process.communicate()
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(child), signal.SIGKILL)


def test_second_holder_is_refused_and_told_who_and_since_when(
    holder: Holder, tmp_path: Path
) -> None:
    with pytest.raises(lock.LabLocked) as caught, lock.exclusive("demo", folder=tmp_path):
        pass
    assert caught.value.failure.kind == ExitCode.LOCKED
    assert f"process {holder[0].pid} " in str(caught.value)
    assert " since 2" in str(caught.value)
    assert "next:" in said(caught.value)


def test_lock_of_a_killed_holder_is_free(holder: Holder, tmp_path: Path) -> None:
    assert f"process {holder[0].pid} " in (lock.holder("demo", tmp_path) or "")
    os.kill(holder[0].pid, signal.SIGKILL)
    holder[0].wait()
    assert lock.holder("demo", tmp_path) is None
    with lock.exclusive("demo", folder=tmp_path) as file:
        assert f"process {os.getpid()} " in file.read_text()


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    with lock.exclusive("demo", folder=tmp_path):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert lock.holder("demo", tmp_path) is None
    finally:
        child.kill()
        child.communicate()


def test_nested_locks_of_other_names_do_not_meet(tmp_path: Path) -> None:
    with lock.exclusive("demo", folder=tmp_path), lock.exclusive("lab", folder=tmp_path):
        assert lock.holder("demo", tmp_path) is not None


def test_removed_lock_file_guards_nothing(tmp_path: Path) -> None:
    with lock.exclusive("lab", folder=tmp_path) as file:
        file.unlink()
        with lock.exclusive("lab", folder=tmp_path):
            assert lock.holder("lab", tmp_path) is not None


def test_unwritable_folder_says_that_it_needs_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(FailedError, match="needs root"), lock.exclusive("demo", folder=tmp_path):
        pass


def test_programs_of_a_killed_holder_are_found_and_nobody_elses(
    holder: Holder, tmp_path: Path
) -> None:
    process, child = holder
    assert lock.started_under("demo", tmp_path) == tuple(sorted((process.pid, child)))
    assert lock.started_under("demo", tmp_path / "other") == ()
    process.kill()
    process.wait()
    assert lock.started_under("demo", tmp_path) == (child,)


def test_whoever_waits_says_for_whom(
    holder: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, _ = holder
    monkeypatch.setattr(lock, "SAID_EVERY_S", 0)
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        process.kill()

    with lock.exclusive("demo", 20, tmp_path, say):
        pass
    assert said[0].startswith(f"waiting: another demo is running: process {process.pid} (")


def test_whoever_asks_is_not_found_itself(tmp_path: Path) -> None:
    with lock.exclusive("demo", folder=tmp_path):
        assert lock.started_under("demo", tmp_path) == ()


def test_cleaning_ends_what_a_killed_demo_started(
    holder: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, child = holder
    process.kill()
    process.wait()
    paths = LabPaths(tmp_path / "state", tmp_path / "cache")
    paths.state.mkdir()
    monkeypatch.setattr(LabPaths, "locks", tmp_path)
    monkeypatch.setattr(requirements, "check_root", lambda: None)
    monkeypatch.setattr(removal, "clean", lambda *_: removal.Left(()))
    said: list[str] = []
    cleaning.clean(paths, cache=False, say=said.append)
    assert any("ending a demo" in line for line in said)
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text()


def test_cleaning_needs_no_package_but_the_standard_library() -> None:
    modules = "import sys; import rocminfra.lab.__main__; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-S", "-c", modules],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    tops = {name.partition(".")[0] for name in result.stdout.split()}
    assert tops <= {*sys.stdlib_module_names, "rocminfra", "__main__"}
