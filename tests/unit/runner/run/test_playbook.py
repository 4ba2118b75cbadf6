"""Whole runs in process, on this machine: what changed, what failed, and whose failure it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from failing import next_of

from rocminfra.failure import ExitCode, FailedError
from rocminfra.runner.run.results import HostResult, HostState, Outcome, RunResult

FILE = """\
from pyinfra import host
from pyinfra.operations import files
files.file(name="a file", path=f"{folder}/{{host.name}}", present=True)
"""


def outcomes(host: HostResult) -> dict[str, str]:
    return {operation.name: operation.outcome.value for operation in host.operations}


def by_name(result: RunResult) -> dict[str, HostResult]:
    return {host.name: host for host in result.hosts}


def test_a_plan_changes_nothing(runner: Any) -> None:
    runner.write(FILE.format(folder=runner.folder))
    result = runner("plan")
    (host,) = result.hosts
    assert (host.state, outcomes(host)) == (HostState.PLANNED, {"a file": "pending"})
    assert (result.changes, result.code) == (1, ExitCode.DONE)
    assert not (runner.folder / "@local").exists()


def test_an_apply_changes_and_a_second_one_does_not(runner: Any) -> None:
    runner.write(FILE.format(folder=runner.folder))
    first, second = runner(), runner()
    assert (runner.folder / "@local").exists()
    assert [outcomes(host) for host in first.hosts] == [{"a file": "changed"}]
    assert [outcomes(host) for host in second.hosts] == [{"a file": "unchanged"}]
    assert (first.code, second.code, second.changes) == (ExitCode.DONE, ExitCode.DONE, 0)
    assert runner.progress == ["a file", "@local changed", "a file", "@local ok"]


def test_included_tasks_are_named_with_their_file(runner: Any) -> None:
    runner.write('from pyinfra import local\nlocal.include("tasks/one.py")\n')
    runner.write(FILE.format(folder=runner.folder), "tasks/one.py")
    (host,) = runner("plan").hosts
    assert outcomes(host) == {"tasks/one.py | a file": "pending"}


def test_operations_run_in_the_playbooks_order(runner: Any) -> None:
    shell = 'from pyinfra.operations import server\nserver.shell(name="{0}", commands="echo {0}")\n'
    runner.write("".join(shell.format(name) for name in "cab"))
    runner.write(shell.format("last"), "second.py")
    (host,) = runner(files=("deploy.py", "second.py")).hosts
    assert list(outcomes(host)) == ["c", "a", "b", "last"]


def test_a_failing_operation_shows_its_name_and_what_the_host_said(runner: Any) -> None:
    runner.write(
        "from pyinfra.operations import server\n"
        'server.shell(name="one", commands="true")\n'
        'server.shell(name="two", commands="echo out; echo the reason >&2; exit 3")\n'
        'server.shell(name="three", commands="true")\n'
    )
    result = runner(data=("vllm.port=8001",))
    (host,) = result.hosts
    assert outcomes(host) == {"one": "changed", "two": "failed", "three": "not-run"}
    (failure,) = host.failures
    assert failure.what == "@local: operation 'two' failed"
    assert failure.why == ("the reason",)
    assert next_of(failure) == ("rocminfra apply -i @local --limit @local --data vllm.port=8001 -v")
    assert (host.state, result.code) == (HostState.FAILED, ExitCode.UNEXPECTED)


def test_an_error_that_the_playbook_ignores_is_no_failure(runner: Any) -> None:
    runner.write(
        "from pyinfra.operations import server\n"
        'server.shell(name="one", commands="exit 3", _ignore_errors=True)\n'
    )
    result = runner()
    assert (result.hosts[0].failures, result.code) == ((), ExitCode.DONE)


FAIL = """\
from pyinfra import host, state
from pyinfra.api import operation
from pyinfra.operations import server
from rocminfra.failure import Again, Do, Failure, Fault
from rocminfra.operations.host_failures import fail, exclude

FAILURE = Failure(Fault.{fault}, "what is wrong", ("the evidence",), Do("do this"))

@operation()
def failing():
    yield fail(FAILURE)

"""


FAULTS = ("DISK_NOT_BLANK", "GPU_MISSING", "ENGINE_NOT_READY", "BENCHMARK_INVALID", "HOST_LOCKED")


@pytest.mark.parametrize(("fault", "code"), zip(FAULTS, (5, 6, 7, 8, 9), strict=True))
def test_a_recorded_failure_gives_its_exit_code(fault: str, code: int, runner: Any) -> None:
    runner.write(FAIL.format(fault=fault) + 'failing(name="the check")\n')
    result = runner()
    (host,) = result.hosts
    (failure,) = host.failures
    assert (failure.what, failure.why) == ("what is wrong", ("the evidence",))
    assert next_of(failure) == "do this"
    assert result.code == code
    assert outcomes(host) == {"the check": "failed"}


def test_the_next_command_of_an_operation_is_this_command_line(runner: Any) -> None:
    text = FAIL.format(fault="BENCHMARK_INVALID").replace(
        'Do("do this")', 'Again("then", resume="20260513T101500Z")'
    )
    runner.write(text + 'failing(name="the check")\n')
    (failure,) = runner(data=("vllm.port=8001",)).hosts[0].failures
    assert next_of(failure) == (
        "then: rocminfra bench -i @local --limit @local --data vllm.port=8001 "
        "--resume 20260513T101500Z"
    )


def test_a_wipe_token_is_offered_as_this_command_takes_it(runner: Any) -> None:
    said = 'Again("look first; to destroy it", wipe="h:/dev/vd c:1")'
    text = FAIL.format(fault="DISK_NOT_BLANK").replace('Do("do this")', said)
    runner.write(text + 'failing(name="disk")\n')
    (failure,) = runner().hosts[0].failures
    assert next_of(failure) == (
        "look first; to destroy it: rocminfra apply -i @local --limit @local --wipe 'h:/dev/vd c:1'"
    )


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_host_taken_out_is_refused_before_its_first_operation(verb: str, runner: Any) -> None:
    runner.write(
        FAIL.format(fault="DISK_NOT_BLANK")
        + f'server.shell(name="before", commands="touch {runner.folder}/touched")\n'
        + "exclude(state, host, FAILURE)\n"
        + f'server.shell(name="after", commands="touch {runner.folder}/touched")\n'
    )
    result = runner(verb)
    (host,) = result.hosts
    assert result.code is ExitCode.REFUSED
    assert outcomes(host) == {"before": "not-run", "after": "not-run"}
    assert not (runner.folder / "touched").exists()
    assert not any("No hosts remaining" in line for line in runner.lines)


TROUBLE = {
    "raises in the playbook": ("1 / 0\n", ExitCode.UNEXPECTED, "ZeroDivisionError"),
    "raises pyinfra's error": (
        'from pyinfra.api.exceptions import DeployError\nraise DeployError("not like this")\n',
        ExitCode.UNEXPECTED,
        "DeployError: not like this",
    ),
    "raises while running": (
        "from pyinfra.api import operation\n"
        "@operation()\n"
        "def broken():\n"
        '    raise KeyError("gone")\n'
        "    yield\n"
        'broken(name="broken")\n',
        ExitCode.UNEXPECTED,
        "KeyError: 'gone'",
    ),
    "loses its connection": (
        "from pyinfra.api import operation\n"
        "@operation()\n"
        "def lost():\n"
        "    raise EOFError\n"
        "    yield\n"
        'lost(name="lost")\n',
        ExitCode.UNREACHABLE,
        "the connection was lost: EOFError",
    ),
    "fails a fact": (
        "from pyinfra.api import FactBase\n"
        "class Broken(FactBase[str]):\n"
        "    def command(self) -> str:\n"
        '        return "echo no such thing >&2; exit 4"\n'
        "host.get_fact(Broken)\n",
        ExitCode.UNEXPECTED,
        "the run ended early",
    ),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_one_hosts_trouble_stays_its_own(trouble: str, runner: Any) -> None:
    text, code, words = TROUBLE[trouble]
    runner.hosts = {"good": {}, "bad": {}}
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    runner.write(
        f'from pyinfra import host\nif host.name == "bad":\n{indented}'
        + FILE.format(folder=runner.folder)
    )
    result = runner()
    good, bad = result.hosts
    assert (good.state, outcomes(good)["a file"]) == (HostState.DONE, "changed")
    assert (runner.folder / "good").exists()
    assert not (runner.folder / "bad").exists()
    assert bad.state is HostState.FAILED
    assert words in bad.failures[0].what
    assert result.code == code


def test_a_fact_that_fails_on_the_last_host_says_what_the_host_said(runner: Any) -> None:
    text, _, _ = TROUBLE["fails a fact"]
    runner.write(f"from pyinfra import host\n{text}")
    (host,) = runner().hosts
    (failure,) = host.failures
    assert "no such thing" in failure.why
    assert not any("No hosts remaining" in line for line in (*failure.why, failure.what))


def test_a_host_out_of_reach_does_not_stop_the_others(runner: Any) -> None:
    away = {
        "ssh_hostname": "127.0.0.1",
        "ssh_port": 1,
        "ssh_user": "root",
        "ssh_look_for_keys": False,
    }
    runner.hosts = {"here": {}, "away": away}
    runner.write(FILE.format(folder=runner.folder))
    result = runner()
    hosts = by_name(result)
    assert hosts["here"].state is HostState.DONE
    assert hosts["away"].state is HostState.UNREACHABLE
    (failure,) = hosts["away"].failures
    assert failure.what == "away cannot be reached"
    assert "port 1 on 127.0.0.1" in failure.why[0]
    assert next_of(failure) == "ssh -p 1 root@127.0.0.1 true"
    assert result.code is ExitCode.UNREACHABLE


def test_a_key_that_does_not_exist_is_a_host_out_of_reach(runner: Any) -> None:
    runner.hosts = {"away": {"ssh_hostname": "127.0.0.1", "ssh_port": 1, "ssh_key": "/no/key"}}
    runner.write("")
    result = runner()
    assert result.hosts[0].state is HostState.UNREACHABLE
    assert "/no/key" in result.hosts[0].failures[0].why[0]
    assert result.code is ExitCode.UNREACHABLE


def test_wrong_settings_end_the_run_before_anything_connects(runner: Any) -> None:
    runner.hosts = {"a": {"ssh_port": 1, "vllm": {"prot": 1}}}
    runner.write("")
    with pytest.raises(FailedError) as caught:
        runner(data=("storage.label=much-too-long-a-label",))
    assert caught.value.failure.kind is ExitCode.SETTINGS
    assert len(caught.value.failure.why) == 2


def test_secrets_do_not_reach_the_results(runner: Any, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("hf_from_the_file\n")
    runner.environ["MY_TOKEN"] = "hf_from_the_variable"
    runner.write(
        "import os\n"
        "from pyinfra import logger\n"
        "from pyinfra.operations import server\n"
        'logger.warning("hf_from_the_variable")\n'
        'server.shell(name="hf_from_the_file", '
        'commands="echo hf_from_the_file hf_from_the_variable >&2; exit 1")\n'
    )
    result = runner(
        data=("huggingface.token_env=MY_TOKEN", f"huggingface.token_file={token_file}"),
        verbosity=2,
    )
    assert "hf_from" not in repr(result)
    assert "hf_from" not in "\n".join(line for line in runner.lines)
    assert result.hosts[0].failures[0].why == ("*** ***",)


def test_data_that_may_hold_a_secret_is_not_repeated(runner: Any) -> None:
    runner.write(
        "from pyinfra.operations import server\n"
        'server.shell(name="the check", commands="echo hidden-routing-key >&2; exit 1")\n'
    )
    environment = 'engine.environment={"ROUTING_KEY": "hidden-routing-key", "B": "c"}'
    result = runner(data=(environment, "vllm.port=8001"), verbosity=2)
    assert "hidden-routing" not in repr(result)
    assert "hidden-routing" not in "\n".join(runner.lines)
    (failure,) = result.hosts[0].failures
    assert failure.why == ("***",)
    assert next_of(failure) == (
        "rocminfra apply -i @local --limit @local --data engine.environment=… --data vllm.port=8001"
    ).replace("engine.environment=…", "'engine.environment=…'")


def test_a_next_command_is_redacted(runner: Any) -> None:
    runner.environ["HF_TOKEN"] = "hf_from_the_variable"
    text = FAIL.format(fault="DISK_NOT_BLANK").replace(
        '"do this"', '"curl -H hf_from_the_variable"'
    )
    runner.write(text + 'failing(name="the check")\n')
    result = runner(data=("model.name=hf_from_the_variable",))
    assert "hf_from" not in repr(result)
    (failure,) = result.hosts[0].failures
    assert next_of(failure) == "curl -H ***"


def test_a_sudo_password_of_an_inventory_is_redacted(runner: Any) -> None:
    runner.hosts = {"h": {"_sudo_password": "hunter2hunter2"}}
    runner.write(
        "from pyinfra.operations import server\n"
        'server.shell(name="x", commands="echo hunter2hunter2 >&2; exit 1")\n'
    )
    (failure,) = runner().hosts[0].failures
    assert failure.why == ("***",)


def test_a_lock_says_verb_files_and_limit_and_nothing_of_the_data(worker: Any) -> None:
    options = {
        "inventory": "hosts.py",
        "limit": ("a",),
        "data": ('engine.environment={"A": "b"}', "vllm.port=1"),
        "wipe": ("a:b:c",),
        "files": ("tasks/vllm.py",),
    }
    assert worker("summary", "apply", options) == "rocminfra apply --limit a tasks/vllm.py"


def test_without_changes_nobody_is_asked(runner: Any) -> None:
    runner.write("")
    assert runner(answer=True).code is ExitCode.DONE
    assert runner.shown == []


@pytest.mark.parametrize("answer", [True, False])
def test_the_answer_decides(answer: bool, runner: Any) -> None:
    runner.write(FILE.format(folder=runner.folder))
    runner(answer=answer)
    assert (runner.folder / "@local").exists() is answer
    assert [host.count(Outcome.PENDING) for host in runner.shown[0].hosts] == [1]


def test_an_interrupted_run_says_what_was_done(runner: Any) -> None:
    runner.write(
        FILE.format(folder=runner.folder)
        + "from pyinfra.operations import python\n"
        + "def stop():\n    raise KeyboardInterrupt\n"
        + 'python.call(name="stop", function=stop)\n'
    )
    result = runner()
    assert result.interrupted
    assert result.code is ExitCode.INTERRUPTED
    assert outcomes(result.hosts[0])["a file"] == "changed"
    assert result.resume is None


def test_an_interrupted_benchmark_is_resumed_by_its_id_however_it_is_named(
    runner: Any,
) -> None:
    runner.write(
        "from pyinfra import host\n"
        "from rocminfra.bench.job import make_job\n"
        "from rocminfra.bench.session import Session\n"
        "from rocminfra.operations import bench\n"
        "from rocminfra.settings import load_settings\n"
        "def stop(session):\n    raise KeyboardInterrupt\n"
        "Session.run = stop\n"
        'scenario = bench.scenario("smoke")\n'
        'job = make_job("20260513T101500Z", host.name, scenario, load_settings({}))\n'
        'bench.run(name="Renamed by its user", job=job, results_dir="results")\n',
        "tasks/benchmark.py",
    )
    result = runner("bench")
    assert (result.interrupted, result.resume) == (True, "20260513T101500Z")


def test_a_playbook_file_that_does_not_exist(runner: Any) -> None:
    with pytest.raises(FailedError, match="there is no playbook file") as caught:
        runner(files=("tasks/nothing.py",))
    assert "deploy.py" in caught.value.failure.why[0]


def test_files_of_the_working_directory_count_before_the_shipped_ones(runner: Any) -> None:
    runner.write(FILE.format(folder=runner.folder), "tasks/rocm.py")
    (host,) = runner("plan", files=("tasks/rocm.py",)).hosts
    assert outcomes(host) == {"a file": "pending"}


def test_a_config_file_counts_as_under_pyinfra(runner: Any) -> None:
    runner.write("from pyinfra import config\nconfig.SHELL = 'bash'\n", "config.py")
    runner.write(
        'from pyinfra.operations import server\nserver.shell(name="x", commands="test $BASH")\n'
    )
    assert runner().code is ExitCode.DONE
