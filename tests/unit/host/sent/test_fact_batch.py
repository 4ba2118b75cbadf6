"""The program that a batch runs on the host, started as a host starts it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess

import pytest
from running import runs

from rocminfra.connectors.answers import Answer, AnswerStream
from rocminfra.connectors.batch import (
    BY_INPUT,
    MOST_LOGGED,
    Limits,
    command_line,
    direct,
    text_of,
)
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


def test_a_client_that_goes_away_ends_what_the_batch_started_children_included() -> None:
    marker = f"867{os.getpid()}"
    text = command_line([f"sh -c 'echo; sleep 1{marker} & sleep 2{marker}'"], NONCE, Limits())
    with subprocess.Popen(
        shlex.split(text), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert wait_until(lambda: runs(f"sleep 1{marker}") and runs(f"sleep 2{marker}"), 30)
        process.stdin.close()
        assert process.wait(timeout=30) == 0
    assert wait_until(lambda: not runs(marker), 5)


def test_a_batch_out_of_time_answers_what_ended_and_ends_the_rest() -> None:
    marker = f"868{os.getpid()}"
    commands = ["sh -c 'echo done'", *(f"sh -c 'sleep {n}{marker}'" for n in range(1, 10))]
    answers, _, complete = batch(commands, "", Limits(parallel=4, batch_seconds=1))
    assert complete
    assert answers.pop(0) == b"done\n"
    # Some were given up, the others never started; none has an answer.
    assert set(answers) <= set(range(1, 10))
    assert not any(answers.values())
    assert wait_until(lambda: not runs(marker), 5)


def test_commands_travel_as_ssh_sends_them_whatever_the_hosts_encoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[object] = []
    run = object.__new__(fact_batch._Run)
    run.shell, run.environment = "/bin/sh", {}
    monkeypatch.setattr(os, "posix_spawnp", lambda *given, **_: started.append(given[1]))
    run.spawn("printf é", 1, 2, None)
    run.spawn(["sh", "-c", "é\udcff"], 1, 2, None)
    assert started == [[b"sh", b"-c", "printf é".encode()], [b"sh", b"-c", "é".encode() + b"\xff"]]


def test_whole_programs_go_through_sudo_on_standard_input() -> None:
    """Command lines of sudo are in the host's journal; here a long command is one of it."""
    script = f"cat; echo {'x' * 2 * MOST_LOGGED}"
    command = f"sudo -H -n sh -c {shlex.quote(script)}"
    words = direct(command)
    assert words is not None
    assert text_of(words) == script
    assert text_of(["sudo", "-H", "-n", "sh", "-c", "id"]) is None
    assert text_of(["sh", "-c", script]) is None
    run = object.__new__(fact_batch._Run)
    run.shell, run.environment = "/bin/sh", dict(os.environb)
    read, write = os.pipe()
    # As sudo runs it; the program's own input is empty all the same.
    pid = run.spawn(["sh", "-c", BY_INPUT], write, write, script)
    os.close(write)
    with open(read, "rb") as output:
        assert output.read() == b"x" * 2 * MOST_LOGGED + b"\n"
    assert os.waitpid(pid, 0)[1] == 0
