"""The program says of files what the fact's shell text says, to the byte, or leaves it to that."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rocminfra.facts.paths import PathStates
from rocminfra.host.programs import source

NUMBER = 54321  # of no user and no group


def by_shell(paths: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = ["sh", "-c", PathStates().command(paths).get_raw_value()]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False)


def by_program(paths: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-I", "-S", "-c", source("path_states"), *paths]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False)


def made(folder: Path, name: str, make: Callable[[Path], object]) -> str:
    path = folder / name
    make(path)
    return str(path)


@pytest.fixture
def everything(tmp_path: Path) -> list[str]:
    """Paths of every kind that a host may have."""

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
        "nobody may": of("x", 0o000),
        "a|b 'c' \"d\" $e *": of("x"),
        "grüße": of("x"),
        "folder": Path.mkdir,
        "for all": lambda path: (path.mkdir(), path.chmod(0o1777)),
        "fifo": os.mkfifo,
        "socket": listening,
        "link": lambda path: path.symlink_to("a file"),
        "link to a folder": lambda path: path.symlink_to("folder"),
        "broken link": lambda path: path.symlink_to("nowhere"),
        "link to itself": lambda path: path.symlink_to("link to itself"),
    }
    paths = [made(tmp_path, name, make) for name, make in names.items()]
    paths += ["/dev/null", "/proc/self/status", "/", "a file", "./-n", "missing", "a file/below"]
    made(tmp_path, "-n", of("x"))
    if os.geteuid() == 0:
        os.chown(made(tmp_path, "of nobody known", of("x")), NUMBER, NUMBER)
        disk = tmp_path / "disk"
        os.mknod(disk, stat.S_IFBLK | 0o660, os.makedev(7, 250))
        paths += [str(tmp_path / "of nobody known"), str(disk)]
    # What may not be read is left to the tools, which say so.
    return paths if os.geteuid() == 0 else [path for path in paths if "nobody may" not in path]


def test_it_says_the_same(everything: list[str], tmp_path: Path) -> None:
    everything.remove("/proc/self/status")  # of which each process has its own
    shell, program = by_shell(everything, tmp_path), by_program(everything, tmp_path)
    assert program.stdout == shell.stdout
    assert (program.stderr, program.returncode) == (shell.stderr, shell.returncode) == (b"", 0)
    states = PathStates().process(program.stdout.decode().splitlines())
    assert states[str(tmp_path / "empty")].kind == "regular file"
    assert set(everything) - set(states) == {"missing", "a file/below"}


@pytest.mark.parametrize("paths", [[], ["missing"], ["", "a/b/c"]])
def test_where_nothing_is_nothing_is_said(tmp_path: Path, paths: list[str]) -> None:
    shell, program = by_shell(paths, tmp_path), by_program(paths, tmp_path)
    assert (program.stdout, program.returncode) == (shell.stdout, shell.returncode) == (b"", 0)


@pytest.mark.parametrize("name", ["back\\slash", "two\nlines", "a\rreturn", "-"])
def test_what_the_tools_write_otherwise_is_left_to_them(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    program = by_program([name], tmp_path)
    assert (program.stdout, program.returncode) == (b"", 1)


def test_what_cannot_be_read_is_left_to_the_tools(tmp_path: Path) -> None:
    # A file of the kernel that opens and cannot be read, for root neither.
    program = by_program(["/proc/self/mem"], tmp_path)
    assert program.returncode != 0
    assert program.stdout == b""


def test_another_language_changes_nothing(tmp_path: Path) -> None:
    tool = tmp_path / "stat"
    tool.write_text('#!/bin/sh\necho "$LC_ALL|0|root|root|/x"\n')
    tool.chmod(0o755)
    script = PathStates().command(["/"]).get_raw_value()
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LC_ALL": "de_DE.UTF-8"}
    command = ["sh", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("C|0|root|root|/x\n")
