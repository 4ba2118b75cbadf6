"""docs/tutorial.md, command by command: what it shows is what comes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import lab_host
import pytest
from deploys import ROOT

pytestmark = pytest.mark.lab

PAGE = ROOT / "docs" / "tutorial.md"
NAME = f"{lab_host.PREFIX}tutorial"
ANY = "…"
TRANSCRIPT = "TUTORIAL_TRANSCRIPT"


@dataclass(frozen=True)
class Shown:
    """A command of the page and the output that stands below it."""

    command: str
    output: str


def shown() -> list[Shown]:
    """The page's commands in their order, for the droplet of this test run."""
    text = PAGE.read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append(Shown(command, output))
    return found


def pattern(output: str) -> re.Pattern[str]:
    """What the output has to match: … on a line of its own is any lines, in a line any text."""
    lines = []
    for line in output.splitlines():
        if line == ANY:
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(".*".join(map(re.escape, line.split(ANY))) + r"\n")
    return re.compile("".join(lines) + r"\Z")


def test_the_pattern_is_as_strict_as_the_page() -> None:
    assert pattern("a … c\n").match("a b c\n")
    assert not pattern("a … c\n").match("a b d\n")
    assert not pattern("a\n").match("a\nb\n")
    assert pattern("…\nb\n").match("x\ny\nb\n")
    assert pattern("…\nb\n").match("b\n")
    assert not pattern("…\nb\n").match("b\nc\n")


def test_the_tutorial_is_what_happens(tmp_path: Path) -> None:
    folder = tmp_path
    environ = {key: value for key, value in os.environ.items() if "ROCMINFRA" not in key}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    commands = shown()
    transcript: list[str] = []
    assert len(commands) >= 12
    try:
        for one in commands:
            words = shlex.split(one.command)
            if words[0] == "pip":  # tests/unit/test_wheel.py installs the wheel
                continue
            if words[0] == "cd":
                folder = folder / words[1]
                continue
            assert words[0] == "rocminfra", "nothing else is needed"
            done = subprocess.run(
                [*map(renamed, words)],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=600,
            )
            transcript.append(f"$ {one.command}\n{done.stdout.replace(NAME, 'tutorial')}")
            output = done.stdout if done.stdout.endswith("\n") else f"{done.stdout}\n"
            assert done.returncode == 0, f"{one.command}\n{output}"
            expected = renamed(one.output)
            assert pattern(expected).match(output), f"{one.command}\n{output}\nis not\n{expected}"
        assert NAME not in lab_host.names()
        if TRANSCRIPT in os.environ:  # for docs/session_svg.py
            Path(os.environ[TRANSCRIPT]).write_text("".join(transcript), encoding="utf-8")
    finally:
        lab_host.down(NAME)


def renamed(text: str) -> str:
    """The page's droplet is this test run's."""
    return re.sub(r"\btutorial\b", NAME, text)
