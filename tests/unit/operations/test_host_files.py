"""Files and folders: what is right is left alone, what is not appears by a rename."""

from __future__ import annotations

import fcntl
import grp
import hashlib
import os
import pwd
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyinfra import state

from rocminfra.facts.paths import PathState, PathStates
from rocminfra.failure import ExitCode
from rocminfra.operations.host_files import HostFile, directories, present

FILE = HostFile("/etc/demo.conf", "x = 1\n", mode=0o640)
PRIVATE = HostFile("/etc/secret.env", "KEY=abc\n", mode=0o600)


def state_of(file: HostFile, **changes: Any) -> PathState:
    values = {
        "kind": "regular file",
        "mode": file.mode,
        "user": "root",
        "group": "root",
        "sha256": hashlib.sha256(file.content.encode()).hexdigest(),
    }
    return PathState(**{**values, **changes})


def test_a_right_file_needs_no_command(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[PathStates] = {FILE.path: state_of(FILE)}
    assert run(present, files=[FILE]).commands == []
    assert scripted.noops


def test_all_files_that_differ_go_over_in_one_command(
    scripted: Any, run: Callable[..., Any]
) -> None:
    other = HostFile("/etc/two words/it's.conf", "y\n")
    right = HostFile("/etc/right.conf", "z\n")
    scripted.facts[PathStates] = {right.path: state_of(right)}
    outcome = run(present, files=[FILE, right, PRIVATE, other])
    (command,) = outcome.commands
    assert outcome.uploads == {
        FILE.path: FILE.content,
        PRIVATE.path: PRIVATE.content,
        other.path: other.content,
    }
    assert "KEY=abc" not in str(command)


def test_only_what_differs_is_written(scripted: Any, run: Callable[..., Any]) -> None:
    other = HostFile("/etc/other.conf", "y\n")
    scripted.facts[PathStates] = {
        FILE.path: state_of(FILE),
        other.path: state_of(other, mode=0o666),
    }
    assert list(run(present, files=[FILE, other]).uploads) == ["/etc/other.conf"]


@pytest.fixture
def command(
    tmp_path: Path, scripted: Any, run: Callable[..., Any]
) -> Callable[..., tuple[list[str], bytes]]:
    """What a host runs to write files, below a folder of this machine, and gets as its input."""
    me, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name

    def made(texts: dict[str, str], mode: int = 0o640) -> tuple[list[str], bytes]:
        scripted.facts[PathStates] = {}
        files = [
            HostFile(f"{tmp_path}/{name}", text, mode, me, group) for name, text in texts.items()
        ]
        (command,) = run(present, files=files).commands
        script = str(command).replace("-p /run", f"-p {tmp_path}-run")
        Path(f"{tmp_path}-run").mkdir(exist_ok=True)
        return ["sh", "-c", script], command.connector_arguments["_stdin"].encode()

    return made


@pytest.fixture
def written(
    command: Callable[..., tuple[list[str], bytes]],
) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Writes files below a folder of this machine, as the command that a host gets does it."""

    def write(
        texts: dict[str, str], cut: int | None = None, mode: int = 0o640
    ) -> subprocess.CompletedProcess[bytes]:
        words, sent = command(texts, mode)
        return subprocess.run(words, input=sent[:cut], capture_output=True)

    return write


def test_a_file_has_its_text_and_its_mode_and_nothing_is_left_behind(
    tmp_path: Path, written: Callable[..., Any]
) -> None:
    texts = {"a": "", "new/two words": "x" * 5000 + "\n", "it's": "no end", "-x": "grün\n"}
    (tmp_path / "a").write_text("old")
    (tmp_path / "-x.rocminfra-new").symlink_to("/nowhere")
    assert written(texts).returncode == 0
    found = {str(p.relative_to(tmp_path)): p for p in tmp_path.rglob("*") if p.is_file()}
    assert {name: path.read_text() for name, path in found.items()} == texts
    assert {stat.S_IMODE(path.stat().st_mode) for path in found.values()} == {0o640}
    assert list(Path(f"{tmp_path}-run").iterdir()) == []


@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.9])
def test_a_transfer_that_is_cut_off_replaces_nothing(
    tmp_path: Path, written: Callable[..., Any], part: float
) -> None:
    (tmp_path / "a").write_text("old")
    texts = {"a": "x" * 3000, "b": "y" * 3000}
    # Base64 of two headers, their contents padded to 512 bytes, without the archive's end.
    done = written(texts, cut=int(part * (2 * 512 + 2 * 3072) * 4 / 3))
    assert done.returncode != 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}
    assert list(Path(f"{tmp_path}-run").iterdir()) == []


def test_of_two_writers_at_once_one_waits_for_the_other(
    tmp_path: Path, command: Callable[..., tuple[list[str], bytes]]
) -> None:
    words, sent = command({"a": "new"})
    (tmp_path / "a").write_text("old")
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    writer = subprocess.Popen(words, stdin=subprocess.PIPE)
    sender = threading.Thread(target=writer.communicate, args=(sent,))
    sender.start()
    waiting = f"{os.fstat(other).st_ino} 0 EOF"
    while not any("->" in line and waiting in line for line in _locks()):
        assert writer.poll() is None, "it did not wait"
        time.sleep(0.01)
    assert [path.name for path in tmp_path.iterdir()] == ["a"], "nothing half-written yet"
    os.close(other)
    sender.join()
    assert writer.returncode == 0
    assert (tmp_path / "a").read_text() == "new"


def _locks() -> list[str]:
    """The kernel's list; who waits is marked (proc_locks(5))."""
    return Path("/proc/locks").read_text().splitlines()


def test_a_folder_at_the_new_name_is_an_error_and_not_filled(
    tmp_path: Path, written: Callable[..., Any]
) -> None:
    (tmp_path / "a.rocminfra-new").mkdir()
    assert written({"a": "x"}).returncode != 0
    assert list((tmp_path / "a.rocminfra-new").iterdir()) == []


def test_a_folder_where_a_file_should_be_is_refused_before_any_write(
    scripted: Any, run: Callable[..., Any]
) -> None:
    other = HostFile("/etc/other.conf", "y\n")
    scripted.facts[PathStates] = {FILE.path: state_of(FILE, kind="directory", sha256="")}
    outcome = run(present, files=[other, FILE])
    assert outcome.shell == []
    assert outcome.failure.kind is ExitCode.UNFIT
    assert "/etc/demo.conf should be a file and is a directory" in outcome.failure.what


def test_one_question_for_all_files(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[PathStates] = {}
    run(present, files=[FILE, HostFile("/etc/other.conf", "y\n")])
    assert [fact for fact, _ in scripted.asked] == [PathStates]


def test_folders_are_made_parents_first_and_mended(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[PathStates] = {
        "/mnt/a": PathState("directory", 0o700, "root", "root", ""),
        "/mnt/c": PathState("directory", 0o755, "root", "root", ""),
    }
    outcome = run(directories, paths=["/mnt/a", "/mnt/a/b c", "/mnt/c"])
    assert outcome.shell == [
        "install -d -m 0755 -o root -g root /mnt/a",
        "install -d -m 0755 -o root -g root '/mnt/a/b c'",
    ]


def test_a_file_where_a_folder_should_be_is_refused(scripted: Any, run: Callable[..., Any]) -> None:
    scripted.facts[PathStates] = {"/mnt/a": PathState("regular file", 0o644, "root", "root", "0")}
    assert run(directories, paths=["/mnt/a"]).failure.kind is ExitCode.UNFIT


def test_a_private_file_is_never_readable_by_others(
    tmp_path: Path, written: Callable[..., Any]
) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o644)
    assert written({"a": "secret\n"}, mode=0o600).returncode == 0
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    # install(1) makes a file that only its owner can open, and sets the mode afterwards.
    assert (tmp_path / "a").read_text() == "secret\n"


def test_a_private_file_is_not_shown_as_a_difference(
    scripted: Any, run: Callable[..., Any]
) -> None:
    state.config.DIFF = True
    scripted.facts[PathStates] = {PRIVATE.path: state_of(PRIVATE, sha256="0" * 64)}
    run(present, files=[PRIVATE])
    assert scripted.logged == []
    assert [fact for fact, _ in scripted.asked] == [PathStates]
