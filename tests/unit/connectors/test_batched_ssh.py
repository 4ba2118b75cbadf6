"""Facts come from one batch, and only for as long as nothing can have changed them."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from local_host import Run, Wire, lists
from pyinfra.api import FactBase, StringCommand
from pyinfra.api.facts import get_fact
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.connectors import util
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.context import ctx_host
from pyinfra.facts.files import Directory, File, FileContents, Sha256File
from pyinfra.facts.hardware import Ipv4Addrs
from pyinfra.facts.server import Command, Hostname, Kernel, LinuxName, Mounts, Which
from pyinfra.facts.server import Path as SearchPath
from pyinfra.operations import files, python

from rocminfra.connectors import batched_ssh
from rocminfra.connectors.answers import Answer
from rocminfra.connectors.batch import Batch, Limits, direct
from rocminfra.connectors.host_facts import LOOP


def learn(*facts: tuple[type[FactBase[Any]], dict[str, Any]], host: str = "h1") -> None:
    with Run(host) as run, ctx_host.use(run.host):
        for fact, arguments in facts:
            run.host.get_fact(fact, **arguments)


def test_the_second_run_asks_everything_in_one_exec(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("hello\n")
    questions = [
        (Hostname, {}),
        (Mounts, {}),
        (File, {"path": str(tmp_path / "a")}),
        (FileContents, {"path": str(tmp_path / "it's here")}),
        (Which, {"command": "sh"}),
    ]
    learn(*questions)
    assert wire.batches == []
    wire.execs.clear()
    learn(*questions)
    assert len(wire.execs) == len(wire.batches) == 1


def test_answers_are_those_of_a_live_run(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("hello\n")
    learn((FileContents, {"path": str(tmp_path / "a")}), (Directory, {"path": str(tmp_path)}))
    with Run() as run, ctx_host.use(run.host):
        assert run.host.get_fact(FileContents, path=str(tmp_path / "a")) == ["hello"]
        assert run.host.get_fact(Directory, path=str(tmp_path))["mode"] == 700
        assert wire.live == 2  # both were asked while learning


def test_a_fact_is_learned_from_any_host_of_the_deploy(wire: Wire) -> None:
    learn((Hostname, {}), (Kernel, {}), host="old")
    wire.execs.clear()
    learn((Hostname, {}), (Kernel, {}), host="new")
    assert len(wire.execs) == len(wire.batches) == 1


def test_a_command_that_is_no_fact_empties_the_batch(wire: Wire, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("old\n")
    learn((FileContents, {"path": str(file)}), (Kernel, {}))
    with Run() as run:
        assert run.host.get_fact(FileContents, path=str(file)) == ["old"]
        run.shell(f"echo new > {file}")
        assert run.host.get_fact(FileContents, path=str(file)) == ["new"]


def test_a_transfer_empties_the_batch(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    file.write_text("old\n")
    learn((FileContents, {"path": str(file)}), (Kernel, {}))

    def put(self: SSHConnector, source: io.BytesIO, target: str) -> None:
        Path(target).write_bytes(source.read())

    monkeypatch.setattr(SSHConnector, "_put_file", put)
    with Run() as run:
        assert run.host.get_fact(FileContents, path=str(file)) == ["old"]
        run.host.put_file(io.BytesIO(b"new\n"), str(file))
        assert run.host.get_fact(FileContents, path=str(file)) == ["new"]


@pytest.mark.parametrize("transfer", ["put_file", "get_file", "rsync"])
def test_every_transfer_counts_as_a_change(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, transfer: str
) -> None:
    learn((Kernel, {}), (Hostname, {}))
    monkeypatch.setattr(SSHConnector, transfer, lambda *_args, **_kwargs: True)
    with Run() as run:
        run.host.get_fact(Kernel)
        wire.execs.clear()
        assert getattr(run.host, transfer)("a", "b", []) is True
        run.host.get_fact(Kernel)
        assert wire.execs != []


def test_an_operation_that_only_ran_python_counts_as_a_change(wire: Wire, tmp_path: Path) -> None:
    """A callback may have reached the host by any other way."""
    file = tmp_path / "a"
    file.write_text("old\n")
    learn((FileContents, {"path": str(file)}), (Kernel, {}))
    seen = []

    def callback() -> None:
        file.write_text("new\n")
        seen.append(run.host.get_fact(FileContents, path=str(file)))
        file.write_text("newer\n")

    with Run() as run:
        seen.append(run.host.get_fact(FileContents, path=str(file)))
        run.host.get_fact(Kernel)
        add_op(run.state, python.call, function=callback)
        run_ops(run.state)
        run.host.get_fact(Kernel)
        seen.append(run.host.get_fact(FileContents, path=str(file)))
    assert seen == [["old"], ["new"], ["newer"]]


def test_an_operation_that_ran_nothing_is_no_change(wire: Wire, tmp_path: Path) -> None:
    learn((Directory, {"path": str(tmp_path)}), (Kernel, {}))
    wire.execs.clear()
    with Run() as run:
        run.host.get_fact(Kernel)
        add_op(run.state, files.directory, path=str(tmp_path))
        run_ops(run.state)
        run.host.get_fact(Kernel)
        assert run.state.results[run.host].success_ops == 1
    assert len(wire.execs) == len(wire.batches) == 1


def test_a_change_through_another_name_of_the_same_machine_counts(
    wire: Wire, tmp_path: Path
) -> None:
    file = tmp_path / "a"
    file.write_text("old\n")
    learn((FileContents, {"path": str(file)}), (Kernel, {}))
    with Run() as run:
        other = batched_ssh.BatchedSSHConnector(run.state, run.host)
        other.connect()
        assert run.host.get_fact(FileContents, path=str(file)) == ["old"]
        other.run_shell_command(StringCommand(f"echo new > {file}"))
        assert run.host.get_fact(FileContents, path=str(file)) == ["new"]


def test_a_loop_that_waits_for_something_sees_it(wire: Wire, tmp_path: Path) -> None:
    file = tmp_path / "late"
    learn((File, {"path": str(file)}), (Kernel, {}))
    with Run() as run:
        for _ in range(LOOP + 1):
            if run.host.get_fact(File, path=str(file)):
                break
            file.touch()
        else:
            pytest.fail("the loop never saw the file")


def test_an_old_answer_is_not_used(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    file.write_text("old\n")
    learn((FileContents, {"path": str(file)}), (Kernel, {}))
    with Run() as run:
        run.host.get_fact(Kernel)
        file.write_text("new\n")
        later = time.monotonic() + Limits().fresh_seconds + 1
        monkeypatch.setattr(time, "monotonic", lambda: later)
        assert run.host.get_fact(FileContents, path=str(file)) == ["new"]


def test_after_one_change_the_rest_comes_from_a_second_batch(wire: Wire, tmp_path: Path) -> None:
    questions = [(File, {"path": str(tmp_path / str(number))}) for number in range(12)]
    learn(*questions)
    with Run() as run:
        run.shell("true")
        wire.execs.clear()
        for fact, arguments in questions:
            run.host.get_fact(fact, **arguments)
        assert len(wire.execs) == len(wire.batches[1:]) == 1


def test_a_run_that_changes_something_all_the_time_asks_live(wire: Wire, tmp_path: Path) -> None:
    questions = [(File, {"path": str(tmp_path / str(number))}) for number in range(12)]
    learn(*questions)
    wire.execs.clear()
    wire.batches.clear()
    with Run() as run:
        for fact, arguments in questions:
            run.shell("true")
            run.host.get_fact(fact, **arguments)
    assert len(wire.batches) <= 2


def test_facts_asked_around_host_get_fact_are_live_and_count_as_a_change(wire: Wire) -> None:
    learn((Kernel, {}), (Hostname, {}))
    with Run() as run:
        wire.execs.clear()
        assert get_fact(run.state, run.host, Kernel) == "Linux"
        assert len(wire.execs) == 1


def test_a_fact_with_shell_text_for_an_argument_is_live_and_a_change(
    wire: Wire, tmp_path: Path, cache: Path
) -> None:
    file = tmp_path / "a"
    learn((Command, {"command": f"echo x >> {file}"}), (Kernel, {}))
    assert file.read_text() == "x\n"
    assert "Command" not in lists(cache)[0].read_text()
    with Run() as run:
        run.host.get_fact(Kernel)
        assert file.read_text() == "x\n"
        run.host.get_fact(Command, command=f"echo x >> {file}")
        assert run.connector.facts._batches == []


class Meddling(FactBase[str]):
    """Sends a command of its own while it is asked."""

    touched: Path

    def command(self) -> str:
        from pyinfra import host

        host.run_shell_command(f"touch {self.touched}")
        return "echo done"


def test_what_a_fact_sends_besides_its_command_is_a_change_and_not_learned(
    wire: Wire, tmp_path: Path, cache: Path
) -> None:
    Meddling.touched = tmp_path / "touched"
    learn((Kernel, {}), (Meddling, {}))
    assert "touch" not in lists(cache)[0].read_text()
    Meddling.touched.unlink()
    with Run() as run:
        run.host.get_fact(Kernel)
    assert not Meddling.touched.exists()


def test_environment_values_are_not_written_down_and_a_late_batch_uses_them(
    wire: Wire, tmp_path: Path, cache: Path
) -> None:
    questions = [(File, {"path": str(tmp_path / str(number))}) for number in range(5)]
    with Run() as run:
        for fact, arguments in questions:
            run.host.get_fact(fact, **arguments, _env={"TOKEN": "do-not-keep-me"})
    assert "do-not-keep-me" not in lists(cache)[0].read_text()
    wire.execs.clear()
    with Run() as run:
        for fact, arguments in questions:
            run.host.get_fact(fact, **arguments, _env={"TOKEN": "do-not-keep-me"})
    assert len(wire.execs) == len(wire.batches) == 1


def test_the_same_fact_with_another_environment_is_another_question(wire: Wire) -> None:
    learn((SearchPath, {}), (Kernel, {}))
    with Run() as run:
        first = run.host.get_fact(SearchPath)
        second = run.host.get_fact(SearchPath, _env={"PATH": "/usr/bin:/bin"})
    assert second == "/usr/bin:/bin" != first


@pytest.mark.parametrize(("seconds", "execs"), [(1.0, 0), (5.0, 1)])
def test_an_answer_that_took_longer_than_the_facts_time_out_is_not_used(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, seconds: float, execs: int
) -> None:
    learn((Kernel, {}), (Hostname, {}))
    late = Answer(0, b"Late\n", b"", seconds)
    monkeypatch.setattr(Batch, "answer", lambda _self, _command: late)
    with Run() as run:
        run.host.get_fact(Hostname)
        wire.execs.clear()
        run.host.get_fact(Kernel, _timeout=2)
        assert len(wire.execs) == execs


def test_a_fact_made_of_another_is_batched_too(wire: Wire) -> None:
    learn((LinuxName, {}), (Ipv4Addrs, {}), (Kernel, {}))
    wire.execs.clear()
    learn((LinuxName, {}), (Ipv4Addrs, {}), (Kernel, {}))
    assert len(wire.execs) == len(wire.batches) == 1


class WantsPassword(FactBase[str]):
    command = "echo 'sudo: a password is required' >&2; exit 1"


def test_a_sudo_that_wants_a_password_is_pyinfras_to_ask_for(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[str] = []
    monkeypatch.setattr(util, "getpass", lambda prompt: prompts.append(prompt) or "secret")
    for _ in range(2):
        prompts.clear()
        with Run() as run:
            run.host.get_fact(Kernel)
            run.host.get_fact(WantsPassword, _ignore_errors=True)
        assert len(prompts) == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sh -c 'uname -s'", ["sh", "-c", "uname -s"]),
        (
            "sudo -H -n -u ops sh -c 'echo '\"'\"'a'\"'\"''",
            ["sudo", "-H", "-n", "-u", "ops", "sh", "-c", "echo 'a'"],
        ),
        # Whatever a login shell would do something with is left to one.
        ("sh -c uname; id", None),
        ("sh -c $HOME", None),
        ("sh -c ~", None),
        ('sh -c "$HOME"', None),
        ("sh  -c 'two blanks'", None),
        ("sh -c 'unfinished", None),
        ("X=1 sh -c true", None),
        ("echo hello", None),
        ("env SUDO_ASKPASS=/x sudo -A true", None),
        ("", None),
    ],
)
def test_only_a_command_that_any_shell_would_just_start_is_started_without_one(
    command: str, words: list[str] | None
) -> None:
    assert direct(command) == words


def test_the_list_is_json_with_names_and_arguments_only(
    wire: Wire, tmp_path: Path, cache: Path
) -> None:
    learn((Sha256File, {"path": str(tmp_path / "a")}))
    document = json.loads(lists(cache)[0].read_text())
    assert document["hosts"] == {"h1": [[0, 0]]}
    (question,) = document["questions"]
    assert question == {
        "fact": "pyinfra.facts.files.Sha256File",
        "arguments": {"path": str(tmp_path / "a")},
        "identity": {"_shell_executable": "sh"},
        "supplied": [],
    }
