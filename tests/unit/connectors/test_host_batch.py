"""The program that a batch runs on the host, started as a host starts it."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from rocminfra.connectors import host_programs
from rocminfra.connectors.answers import AnswerStream
from rocminfra.connectors.batch import Limits, command_line

NONCE = "0" * 16


def batch(
    commands: list[str], before: str = "", limits: Limits | None = None
) -> tuple[dict[int, bytes | None], bytes, bool]:
    """Answers of a batch by command, what it complained of, and whether it came to its end."""
    script = before + command_line(commands, NONCE, limits or Limits())
    with subprocess.Popen(
        ["sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
    stream = AnswerStream(NONCE, 1 << 30)
    answers = stream.feed(out) if out else {}
    said = {index: answer and answer.stdout for index, answer in answers.items()}
    return said, err, stream.complete


def left(marker: str) -> list[str]:
    """Command lines with ``marker`` of processes that do not end; killed ones need a moment."""
    deadline = time.monotonic() + 5
    while running(marker) and time.monotonic() < deadline:
        time.sleep(0.01)
    return running(marker)


def running(marker: str) -> list[str]:
    """Command lines of processes that have ``marker`` in theirs."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if marker in line and str(os.getpid()) != file.parent.name:
            found.append(line)
    return found


def test_a_batch_that_fails_leaves_nothing_running() -> None:
    marker = f"864{os.getpid()}"
    commands = [f"sleep {number}.{marker}" for number in range(100, 103)]
    # Standard input that cannot be read.
    failing = f"{command_line(commands, NONCE, Limits())} 0>/dev/null"
    done = subprocess.run(["sh", "-c", failing], capture_output=True, check=False)
    assert b"Bad file descriptor" in done.stderr
    assert left(marker) == []


def test_commands_that_cannot_be_started_are_said_and_the_others_run() -> None:
    marker = f"865{os.getpid()}"
    commands = [f"sh -c 'sleep {number}.{marker}'" for number in range(2, 10)]
    limits = Limits(fact_seconds=0.3)
    answers, _, complete = batch(commands, "ulimit -n 12; ", limits)
    assert complete
    assert answers == dict.fromkeys(range(8))
    assert left(marker) == []


def sent(text: str, argument: str) -> str:
    script = f"python3 -I -c {shlex.quote(text)} {argument}"
    return f"sh -c {shlex.quote(script)}"


@pytest.mark.skipif(not os.access("/usr/bin/python3", os.X_OK), reason="no Python of the system's")
@pytest.mark.parametrize(
    "fails", ["sys.exit(1)", "raise ValueError", "os._exit(0)", "os.kill(os.getpid(), 9)"]
)
def test_one_that_fails_in_a_shared_fork_leaves_the_others_there(
    monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    text = (
        "import os, sys\n"
        "print('inside' if sys.flags.no_site else 'started', sys.argv[1], flush=True)\n"
        f"if sys.argv[1] == 'b' and sys.flags.no_site: {fails}"
    )
    monkeypatch.setattr(host_programs, "_AT_ONCE", ("it.py",))
    monkeypatch.setattr(host_programs, "_sources", lambda: {"it.py": (text, shlex.quote(text))})
    answers, err, complete = batch([sent(text, argument) for argument in "abc"])
    assert complete
    assert err == b""
    ends = fails.startswith("os.")  # the fork too: what comes after is started as it stands
    assert answers == {
        0: b"inside a\n",
        1: b"started b\n",
        2: b"started c\n" if ends else b"inside c\n",
    }


def test_files_come_before_docker_in_their_fork() -> None:
    programs = {
        0: host_programs.HostProgram(
            "-c", "docker", ["root"], host_programs._turn("docker_api.py")
        ),
        1: host_programs.HostProgram("-c", "disks", [], host_programs._turn("disk_probe.py")),
        2: host_programs.HostProgram("-c", "paths", ["/"], host_programs._turn("path_states.py")),
    }
    shared = [(2, "-c", "paths", ["/"]), (0, "-c", "docker", ["root"])]
    assert host_programs.forks(programs) == [shared, [(1, "-c", "disks", [])]]
