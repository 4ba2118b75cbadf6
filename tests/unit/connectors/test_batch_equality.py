"""A batch's outputs are those of the plain connector, to the byte, whatever a command does."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_host import Run, Wire
from pyinfra.api import FactBase
from pyinfra.facts.files import FileContents

from rocminfra.connectors import batched_ssh
from rocminfra.connectors.batch import Limits

LARGE = 300_000


class Echo(FactBase[list[str]]):
    @staticmethod
    def default() -> list[str]:
        return ["default"]

    def process(self, output: list[str]) -> list[str]:
        return output


class Ordinary(Echo):
    command = "echo out; echo err >&2; echo again"


class NoOutput(Echo):
    command = "true"


class Fails(Echo):
    command = "echo out; echo why >&2; exit 3"


class KilledBySignal(Echo):
    command = "echo out; kill -9 $$"


class NotUtf8(Echo):
    command = r"printf 'good\n\377\376bad\nlater\n'"


class Nul(Echo):
    command = r"printf 'a\0b\n'"


class CarriageReturns(Echo):
    command = r"printf 'a\r\nb\rc\n\n\nlast without end'"


class Latin(Echo):
    command = r"printf 'gr\303\274n \342\202\254 \360\237\232\200\n'"


class Large(Echo):
    command = f"head -c {LARGE} /dev/zero | tr '\\0' x; echo; seq 1 5000; seq 1 5000 >&2"


class TooLarge(Echo):
    command = "head -c 3000000 /dev/zero | tr '\\0' x; echo"


class MissingBinary(Echo):
    command = "no-such-program-of-ours --version"


class Required(Echo):
    command = "echo found"

    def requires_command(self) -> str:
        return "no-such-program-of-ours"


class Environment(Echo):
    # What sshd itself sets differs by connection, and SHLVL counts shells.
    command = "env | grep -v '^SHLVL=\\|^_=' | sort"


class Session(Echo):
    command = "umask; pwd; ulimit -n; cat; readlink /proc/self/fd/0 | sed 's/[0-9]*//g' | wc -l"


class Descriptors(Echo):
    command = "ls /proc/self/fd | wc -l"


class Program(Echo):
    command = (
        "python3 -I -c 'import sys; print(sys.argv[1:], sys.stdin.read(), sys.flags.no_site);"
        ' sys.stdout.buffer.write(b"a\\0b\\xff\\n"); sys.exit("why")\' a \'b c\''
        ' || echo "exit code $?"'
    )


class OtherShell(Echo):
    shell_executable = "bash"
    command = "echo ${BASH_VERSION:+bash}; echo $((1+1)) {1..3}"


class SyntaxError_(Echo):
    command = "echo 'unfinished"


class Quotes(Echo):
    command = "printf '%s\\n' \"it's\" '\"' '$HOME' '!x' '%s'"


ODD = [
    *(Ordinary, NoOutput, Fails, KilledBySignal, NotUtf8, Nul, CarriageReturns, Latin, Large),
    *(TooLarge, MissingBinary, Required, Environment, Session, Descriptors, Program, OtherShell),
    *(SyntaxError_, Quotes),
]


@pytest.fixture
def outputs(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every result that the connector handed to pyinfra."""
    seen: list[Any] = []
    run_shell_command = batched_ssh.BatchedSSHConnector.run_shell_command

    def record(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = run_shell_command(self, *args, **kwargs)
        status, output = result
        seen.append((status, output.stdout_lines, output.stderr_lines))
        return result

    monkeypatch.setattr(batched_ssh.BatchedSSHConnector, "run_shell_command", record)
    # gevent shows what went wrong in pyinfra's reader of an undecodable line; so does a plain run.
    logging.getLogger("pyinfra").setLevel(logging.CRITICAL)
    yield seen
    logging.getLogger("pyinfra").setLevel(logging.NOTSET)


def ask(run: Run, fact: type[FactBase[Any]], **arguments: Any) -> Any:
    return run.host.get_fact(fact, _ignore_errors=True, **arguments)


@pytest.mark.parametrize("fact", ODD)
@pytest.mark.parametrize("success", [None, [0, 3]])
def test_an_output_is_the_same_from_the_batch(
    wire: Wire, outputs: list[Any], fact: type[FactBase[Any]], success: list[int] | None
) -> None:
    arguments = {} if success is None else {"_success_exit_codes": success}
    with Run() as run:
        live_value = ask(run, fact, **arguments)
        ask(run, Ordinary)
    live = outputs[0]
    outputs.clear()
    wire.execs.clear()
    with Run() as run:
        value = ask(run, fact, **arguments)
    assert outputs == [live]
    assert value == live_value
    assert wire.live == (1 if fact is TooLarge else 0)


def test_all_of_them_at_once_are_the_same(wire: Wire, outputs: list[Any]) -> None:
    for _ in range(2):
        with Run() as run:
            for fact in ODD:
                ask(run, fact)
    assert outputs[: len(ODD)] == outputs[len(ODD) :]
    assert len(wire.batches) == 1


class Hangs(Echo):
    command = "sleep 100 & sleep 100"


def test_a_fact_that_hangs_holds_up_nobody_else_and_is_asked_live(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batched_ssh.BatchedSSHConnector, "limits", Limits(fact_seconds=0.3))
    with Run() as run:
        ask(run, Ordinary)
        ask(run, NoOutput)
    monkeypatch.setattr(Ordinary, "command", Hangs.command)
    with Run() as run:
        assert ask(run, NoOutput) == ["default"]
        batch = run.connector.facts._batches[0]
        assert batch.answer("sh -c 'sleep 100 & sleep 100'") is None
        assert wire.live == 2


class ToTheEnd(Echo):
    command = "echo first; sleep 0.2; echo last"


def cut(wire: Wire, after: int) -> None:
    left = [after]

    def tamper(data: bytes) -> bytes:
        data = data[: left[0]]
        left[0] -= len(data)
        return data

    wire.tamper = tamper


@pytest.mark.parametrize("after", [0, 10, 40, 60, 200])
def test_a_connection_cut_in_the_middle_of_a_batch_leaves_a_plain_run(
    wire: Wire, outputs: list[Any], after: int
) -> None:
    facts = [Ordinary, Fails, Large, Latin]
    with Run() as run:
        for fact in facts:
            ask(run, fact)
    plain = list(outputs)
    outputs.clear()
    cut(wire, after)
    with Run() as run:
        for fact in facts:
            ask(run, fact)
    assert outputs == plain


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[ -x $_rocminfra ] || _rocminfra=python3", "_rocminfra=no-such-python"),
        ("import binascii,sys", "import no_binascii,sys"),
        ("sys,zlib;", "sys,no_zlib;"),
        ("exec $_", "exit 1; exec $_"),
    ],
    ids=["no Python", "no base64", "no zlib", "a shell that refuses"],
)
def test_a_host_that_cannot_do_batches_is_asked_one_by_one_and_says_so_once(
    wire: Wire, outputs: list[Any], caplog: pytest.LogCaptureFixture, old: str, new: str
) -> None:
    facts = [Ordinary, Fails, Latin]
    with Run() as run:
        for fact in facts:
            ask(run, fact)
    plain = list(outputs)
    outputs.clear()
    wire.rewrite = lambda command: command.replace(old, new)
    logging.getLogger("pyinfra").setLevel(logging.DEBUG)
    with Run() as run:
        for fact in facts:
            ask(run, fact)
    assert outputs == plain
    said = [record for record in caplog.records if "one by one" in record.getMessage()]
    assert [record.levelno for record in said] == [logging.DEBUG]


@pytest.mark.parametrize("chatter", ["echo Welcome", "printf Hi", "echo warning >&2", "set -x"])
def test_a_login_shell_that_talks_changes_no_answer_of_a_batch_or_live(
    wire: Wire, outputs: list[Any], chatter: str
) -> None:
    facts = [Ordinary, Fails]
    with Run() as run:
        for fact in facts:
            ask(run, fact)
    quiet = list(outputs)
    wire.rewrite = lambda command: f"{chatter}\n{command}"
    wire.batches.clear()
    for live in (False, True):
        outputs.clear()
        with Run() as run:
            if live:
                run.shell("true")
            for fact in facts:
                ask(run, fact)
        assert [output[:2] for output in outputs[-2:]] == [output[:2] for output in quiet]
    assert wire.batches


STEP = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 3)),
    st.tuples(st.just("ask"), st.integers(0, 3)),
    st.tuples(st.just("write"), st.integers(0, 3)),
    st.tuples(st.just("remove"), st.integers(0, 3)),
    st.tuples(st.just("nothing"), st.just(0)),
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEP, max_size=14), seed=st.integers())
def test_a_run_sees_what_a_plain_run_sees_whatever_it_does_in_between(
    wire: Wire, tmp_path: Path, steps: list[tuple[str, int]], seed: int
) -> None:
    files = [tmp_path / str(number) for number in range(4)]
    contents = random.Random(seed)
    for file in files:
        file.write_text("start\n")
    with Run() as run:
        for file in files:
            run.host.get_fact(FileContents, path=str(file))
    with Run() as run:
        for what, number in steps:
            file = files[number]
            if what == "ask":
                plain = file.read_text().splitlines() if file.exists() else None
                assert run.host.get_fact(FileContents, path=str(file)) == plain
            elif what == "write":
                run.shell(f"echo {contents.random()} > {file}")
            elif what == "remove":
                run.shell(f"rm -f {file}")
            else:
                run.shell("true")
