"""PathStates against files of every kind, as this machine's own shell answers it."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rocminfra.facts.paths import PathState, PathStates

NUMBER = 54321  # no user's and no group's

KINDS = {
    stat.S_IFREG: "regular file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFBLK: "block special file",
    stat.S_IFCHR: "character special file",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def asked(paths: list[str], folder: Path, shell: str = "sh") -> dict[str, PathState]:
    command = [shell, "-c", PathStates().command(paths).get_raw_value()]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return PathStates().process(done.stdout.splitlines())


def seen(path: Path) -> PathState:
    """The same as Python sees it."""
    status = path.lstat()
    is_file = stat.S_ISREG(status.st_mode)
    try:
        user, group = pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        user = group = "UNKNOWN"
    return PathState(
        kind=KINDS[stat.S_IFMT(status.st_mode)],
        mode=stat.S_IMODE(status.st_mode),
        user=user,
        group=group,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest() if is_file else "",
    )


@pytest.fixture
def everything(tmp_path: Path) -> list[str]:
    """Paths of every kind a host may have."""

    def listening(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))

    def of(text: str, mode: int = 0o644) -> Callable[[Path], None]:
        def make(path: Path) -> None:
            path.write_text(text)
            path.chmod(mode)

        return make

    names: dict[str, Callable[[Path], object]] = {
        "a file": of("x\n"),
        "empty": of(""),
        "large": of("0123456789" * 300_000),
        "runs as root": of("x", 0o4755),
        "a|b 'c' \"d\" $e *": of("x"),
        "back\\slash\\n": of("x"),
        "it's $HOME": of("x"),
        "  ": of("x"),
        "grüße": of("x"),
        "folder": Path.mkdir,
        "for all": lambda path: (path.mkdir(), path.chmod(0o1777)),
        "fifo": os.mkfifo,
        "socket": listening,
        "link": lambda path: path.symlink_to("a file"),
        "link to a folder": lambda path: path.symlink_to("folder"),
        "broken link": lambda path: path.symlink_to("nowhere"),
        "link to itself": lambda path: path.symlink_to("link to itself"),
        "-n": of("x"),
    }
    if os.geteuid() == 0:
        names["nobody may"] = of("x", 0o000)
        names["of nobody known"] = lambda path: (of("x")(path), os.chown(path, NUMBER, NUMBER))
        names["disk"] = lambda path: os.mknod(path, stat.S_IFBLK | 0o660, os.makedev(7, 250))
    for name, make in names.items():
        make(tmp_path / name)
    return [*(str(tmp_path / name) for name in names), "/dev/null", "/", "a file", "./-n"]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_states_are_those_of_the_files(everything: list[str], tmp_path: Path, shell: str) -> None:
    states = asked([*everything, "missing", "a file/below"], tmp_path, shell)
    assert states == {path: seen(tmp_path / path) for path in everything}


def test_paths_of_every_kind() -> None:
    digest = "e" * 64
    output = [
        "regular file|640|root|adm|/etc/a b",
        "regular empty file|644|root|root|/etc/empty",
        "directory|755|root|root|/etc",
        "symbolic link|777|root|root|/etc/link",
        *("--- sha256 ---", f"{digest}  /etc/a b", f"{digest}  /etc/empty"),
    ]
    states = PathStates().process(output)
    assert states["/etc/a b"] == PathState("regular file", 0o640, "root", "adm", digest)
    assert states["/etc/empty"].kind == "regular file"
    assert states["/etc"] == PathState("directory", 0o755, "root", "root", "")
    assert states["/etc/link"].kind == "symbolic link"


@pytest.mark.parametrize("paths", [[], ["missing"], ["", "a/b/c"]])
def test_where_nothing_is_nothing_is_said(tmp_path: Path, paths: list[str]) -> None:
    assert asked(paths, tmp_path) == {}


def test_another_language_changes_nothing(tmp_path: Path) -> None:
    tool = tmp_path / "stat"
    tool.write_text('#!/bin/sh\necho "$LC_ALL|0|root|root|/x"\n')
    tool.chmod(0o755)
    script = PathStates().command(["/"]).get_raw_value()
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LC_ALL": "de_DE.UTF-8"}
    command = ["sh", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "\nC|0|root|root|/x\n" in done.stdout


def test_paths_are_quoted() -> None:
    assert "'/etc/a b'" in str(PathStates().command(["/etc/a b"]))
