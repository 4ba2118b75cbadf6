"""The benchmark operation: what a session's end means for pyinfra and its user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench_fakes import RUN, FakeEngine, LocalHost, fake_guidellm, job, scenario, set_modes
from failing import next_of
from paramiko import SSHException
from pyinfra.context import ctx_host

from rocminfra.failure import ExitCode
from rocminfra.operations import bench
from rocminfra.operations.host_failures import failures
from rocminfra.operations.host_settings import InvalidSettings


class PyinfraHost:
    """A pyinfra host whose connection is a :class:`LocalHost`."""

    def __init__(self, remote: LocalHost) -> None:
        self.name = "mi300x-1"
        self.state = SimpleNamespace()
        self.connector = None
        self.connector_data: dict[str, Any] = {}
        self.current_op_global_arguments = {"_sudo": True, "name": "Benchmark"}
        self.logged: list[str] = []
        self.arguments: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self._remote = remote

    def run_shell_command(self, command: Any, **arguments: Any) -> tuple[bool, Any]:
        if self.error is not None:
            raise self.error
        self.arguments.append(arguments)
        text = command.get_raw_value()
        answer = self._remote.run(text, arguments.get("_stdin"), arguments["_timeout"])
        lines = answer.stdout.splitlines()
        return answer.succeeded, SimpleNamespace(stdout_lines=lines, stderr=answer.stderr)

    def get_file(self, path: str, target: str, **arguments: Any) -> bool:
        self.arguments.append(arguments)
        self._remote.fetch(path, Path(target))
        return True

    def log(self, text: str, *_: Any, **__: Any) -> None:
        self.logged.append(text)

    log_styled = log


@pytest.fixture
def host(tmp_path: Path) -> PyinfraHost:
    return PyinfraHost(LocalHost(tmp_path))


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return fake_guidellm(tmp_path / "guidellm")


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine().serving() as serving:
        yield serving


@pytest.fixture
def measure(
    tmp_path: Path, host: PyinfraHost, program: Path, engine: FakeEngine
) -> Callable[..., bool]:
    made = job(
        tmp_path / "runs", program, engine, scenario([{"profile": "concurrent", "streams": [4]}])
    )

    def run(results: Path = tmp_path / "results", resumes: bool = False) -> bool:
        (command,) = bench.run._inner(job=made, results_dir=str(results), resumes=resumes)
        done: bool = command.execute(SimpleNamespace(), host, {})
        return done

    return run


def test_the_last_words_are_where_the_results_are(
    measure: Callable[..., bool], host: PyinfraHost, tmp_path: Path
) -> None:
    assert measure()
    assert host.logged[-1] == f"results: {tmp_path}/results/{RUN}/mi300x-1"
    assert host.logged[-2].startswith("mi300x-1: toy, vLLM 0.20.1+fake on")
    assert host.logged[-3].split()[0] == "concurrent@4"
    assert failures(host) == ()  # type: ignore[arg-type]


def test_commands_run_as_the_operation_is_told_to(
    measure: Callable[..., bool], host: PyinfraHost
) -> None:
    measure()
    assert all(arguments["_sudo"] is True for arguments in host.arguments)
    assert not any("name" in arguments for arguments in host.arguments)


def test_a_point_that_does_not_count_fails_the_host_after_its_results_came_back(
    measure: Callable[..., bool], host: PyinfraHost, program: Path, tmp_path: Path
) -> None:
    set_modes(program, concurrent="errors")
    assert not measure()
    (failure,) = failures(host)  # type: ignore[arg-type]
    assert failure.kind is ExitCode.BENCHMARK
    assert "528 of 548" in failure.why[0]
    assert f"bench.run={RUN}" in next_of(failure)
    assert (tmp_path / "results" / RUN / "MANIFEST.sha256").exists()


@pytest.mark.parametrize("error", [SSHException("Channel closed"), OSError("timed out")])
def test_a_lost_connection_says_how_to_go_on(
    measure: Callable[..., bool], host: PyinfraHost, error: Exception
) -> None:
    host.error = error
    assert not measure()
    (failure,) = failures(host)  # type: ignore[arg-type]
    assert "connection was lost" in failure.what
    assert str(error) in failure.why[0]
    assert f"--data bench.run={RUN}" in next_of(failure)


def test_results_that_cannot_be_written_here_say_so(
    measure: Callable[..., bool], host: PyinfraHost, tmp_path: Path
) -> None:
    (tmp_path / "a-file").write_text("")
    assert not measure(results=tmp_path / "a-file")
    (failure,) = failures(host)  # type: ignore[arg-type]
    assert "could not be written" in failure.what


def test_all_hosts_of_one_pyinfra_run_share_a_benchmark_run() -> None:
    class State:
        pass

    first, second = State(), State()
    with ctx_host.use(SimpleNamespace(state=first)):
        run = bench.run_id(None)
        assert bench.run_id(None) == run
        assert bench.run_id(RUN) == RUN
    with ctx_host.use(SimpleNamespace(state=second)):
        bench.run_id(None)
        assert len(bench._run_ids) >= 2


def test_an_unknown_scenario_ends_the_run_before_anything_changes() -> None:
    with (
        ctx_host.use(SimpleNamespace(name="mi300x-1")),
        pytest.raises(InvalidSettings, match="did you mean smoke"),
    ):
        bench.scenario("smokey")
