"""The program that a batch runs on the host, started as a host starts it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Callable

import pytest
from running import runs

from rocminfra.connectors import host_programs
from rocminfra.connectors.answers import Answer, AnswerStream
from rocminfra.connectors.batch import Limits, command_line
from rocminfra.host.sent import fact_batch
from rocminfra.lab.processes import wait_until

NONCE = "0" * 16


def batch(
    commands: list[str], before: str = "", limits: Limits | None = None
) -> tuple[dict[int, bytes | None], bytes, bool]:
    """Outputs of a batch by command, what it complained of, and whether it came to its end."""
    answers, err, complete = answered(commands, before, limits or Limits())
    return {number: answer and answer.stdout for number, answer in answers.items()}, err, complete


def answered(
    commands: list[str], before: str, limits: Limits
) -> tuple[dict[int, Answer | None], bytes, bool]:
    """The same with whole answers, read with the limit that the connector sets."""
    with subprocess.Popen(
        ["sh", "-c", before + command_line(commands, NONCE, limits)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
    stream = AnswerStream(NONCE, limits.most_all + 1024 * (len(commands) + 1))
    return stream.feed(out), err, stream.complete


def test_a_batch_that_fails_leaves_nothing_running() -> None:
    marker = f"864{os.getpid()}"
    commands = [f"sleep {number}.{marker}" for number in range(100, 103)]
    # Standard input that cannot be read.
    failing = f"{command_line(commands, NONCE, Limits())} 0>/dev/null"
    done = subprocess.run(["sh", "-c", failing], capture_output=True, check=False)
    assert b"Bad file descriptor" in done.stderr
    assert wait_until(lambda: not runs(marker), 5)


def test_commands_that_cannot_be_started_are_said_and_the_others_run() -> None:
    marker = f"865{os.getpid()}"
    commands = [f"sh -c 'sleep {number}.{marker}'" for number in range(2, 10)]
    limits = Limits(fact_seconds=0.3)
    answers, _, complete = batch(commands, "ulimit -n 12; ", limits)
    assert complete
    assert answers == dict.fromkeys(range(8))
    assert wait_until(lambda: not runs(marker), 5)


def sent(text: str, argument: str) -> str:
    script = f"python3 -I -c {shlex.quote(text)} {argument}"
    return f"sh -c {shlex.quote(script)}"


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Makes a text a program that shares a fork; its commands for a, b, c and d."""

    def make(text: str) -> list[str]:
        monkeypatch.setattr(host_programs, "_AT_ONCE", ("it.py",))
        monkeypatch.setattr(host_programs, "_sources", lambda: {"it.py": (text, shlex.quote(text))})
        return [sent(text, argument) for argument in "abcd"]

    return make


@pytest.mark.skipif(not os.access("/usr/bin/python3", os.X_OK), reason="no Python of the system's")
@pytest.mark.parametrize(
    "fails", ["sys.exit(1)", "raise ValueError", "os._exit(0)", "os.kill(os.getpid(), 9)"]
)
def test_one_that_fails_in_a_shared_fork_leaves_the_others_there(
    shared: Callable[[str], list[str]], fails: str
) -> None:
    text = (
        "import os, sys\n"
        "print('inside' if sys.flags.no_site else 'started', sys.argv[1], flush=True)\n"
        f"if sys.argv[1] == 'b' and sys.flags.no_site: {fails}"
    )
    answers, err, complete = batch(shared(text)[:3])
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


@pytest.mark.parametrize(
    "beside",
    [
        r"os.write(2, b'!')",
        r"os.write(1, b'\0\0\0\1X')",
        r"os.write(1, b'12345678\0\0\0\1X')",
        r"sys.__stdout__.write('said')",
        r"subprocess.run(['sh', '-c', 'echo out; echo err >&2'])",
        r"os.write(1, b'x' * 100000)",
    ],
)
def test_what_is_said_beside_is_nobodys_answer(
    shared: Callable[[str], list[str]], beside: str
) -> None:
    text = f"import os, subprocess, sys\nif sys.argv[1] == 'b': {beside}\nprint(sys.argv[1])"
    commands = shared(text)
    alone = [
        subprocess.run(["sh", "-c", command], capture_output=True, check=False).stdout
        for command in commands
    ]
    for _ in range(10):
        answers, _, complete = batch(commands)
        assert complete
        assert answers == dict(enumerate(alone))


def test_complaints_of_a_shared_fork_are_kept(shared: Callable[[str], list[str]]) -> None:
    text = "import os, sys\nif sys.argv[1] == 'b': os.write(2, b'!')\nprint(sys.argv[1])"
    commands = shared(text)
    for _ in range(10):
        answers, _, _ = answered(commands, "", Limits())
        complaints = [answer.stderr for _, answer in sorted(answers.items()) if answer is not None]
        assert complaints == [b"", b"!", b"", b""]


def test_outputs_that_exceed_the_limit_together_do_not_break_the_stream() -> None:
    large = "head --bytes 600000 /dev/urandom"
    commands = [f"sh -c '{large}'", f"sh -c '{large}; sleep 0.1'", "sh -c 'echo other'"]
    answers, _, complete = answered(commands, "", Limits(most_all=1_000_000))
    assert complete
    assert [answer is None for answer in answers.values()].count(True) == 1


def test_a_command_that_cannot_be_started_ends_a_batch_that_has_nothing_else() -> None:
    with subprocess.Popen(
        shlex.split(command_line(["doas echo a"], NONCE, Limits(batch_seconds=300))),
        executable="/bin/sh",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": "/nowhere"},
    ) as process:
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_what_the_batch_started(number: signal.Signals) -> None:
    marker = f"866{os.getpid()}"
    text = command_line([f"sh -c 'echo; sleep {marker}'"], NONCE, Limits())
    with subprocess.Popen(
        shlex.split(text), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert wait_until(lambda: runs(f"sleep {marker}"), 30)
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
    assert wait_until(lambda: not runs(f"sleep {marker}"), 5)


def test_commands_travel_as_ssh_sends_them_whatever_the_hosts_encoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[object] = []
    run = object.__new__(fact_batch._Run)
    run.shell, run.environment, run.imports = "/bin/sh", {}, []
    monkeypatch.setattr(os, "posix_spawnp", lambda *given, **_: started.append(given[1]))
    run.spawn("printf é", 1, 2)
    run.spawn(["sh", "-c", "é\udcff"], 1, 2)
    assert started == [[b"sh", b"-c", "printf é".encode()], [b"sh", b"-c", "é".encode() + b"\xff"]]
    assert run.prepared([(0, "-c", "pass", ["é"])]) is not None
    monkeypatch.setattr(fact_batch, "_IS_UTF8", False)
    assert run.prepared([(0, "-c", "pass", ["é"])]) is None
    assert run.prepared([(0, "-c", "pass", ["e"])]) is not None
