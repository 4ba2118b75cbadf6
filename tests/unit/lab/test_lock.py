"""Locks of the lab: one holder, named, and gone with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rocminfra.lab import lock
from rocminfra.lab.errors import LOCKED, LabError

_HOLD = """
import pathlib, sys, time
from rocminfra.lab.lock import exclusive
with exclusive("demo", folder=pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that holds the demo's lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_second_holder_is_refused_and_told_who_and_since_when(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    with pytest.raises(lock.LabLocked) as caught, lock.exclusive("demo", folder=tmp_path):
        pass
    assert caught.value.code == LOCKED
    assert f"process {holder.pid} " in str(caught.value)
    assert " since 2" in str(caught.value)
    assert "next:" in str(caught.value)


def test_lock_of_a_killed_holder_is_free(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    assert f"process {holder.pid} " in (lock.holder("demo", tmp_path) or "")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
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
    with pytest.raises(LabError, match="needs root"), lock.exclusive("demo", folder=tmp_path):
        pass
