"""Benchmarks: GuideLLM on the host, detached, and its results brought back."""

from __future__ import annotations

import weakref
from pathlib import Path

from paramiko import SSHException
from pyinfra import host as current_host
from pyinfra import logger
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.bench.job import Job, new_run_id
from rocminfra.bench.remote import Answer
from rocminfra.bench.scenario import Scenario, load_scenario
from rocminfra.bench.session import Outcome, Session
from rocminfra.failure import Again, FailedError, Failure, Fault
from rocminfra.host.programs import benchmark
from rocminfra.host_answers import answer, framed
from rocminfra.operations import transfers
from rocminfra.operations.commands import Commands
from rocminfra.operations.host_failures import record
from rocminfra.operations.host_files import HostFile
from rocminfra.operations.host_settings import InvalidSettings
from rocminfra.playbook_files import playbook_root
from rocminfra.report import table
from rocminfra.settings.problems import SettingsError

_RESULTS = "rocminfra.results"
_UNDER_WAY = "rocminfra.benchmark"

# All hosts of one pyinfra run share a benchmark run, and a task is executed once for each host.
_run_ids: weakref.WeakKeyDictionary[State, str] = weakref.WeakKeyDictionary()


def scenario(name: str) -> Scenario:
    """The scenario of that name, checked.

    + name: of a file in ``benchmarks/``, or a path to one

    Raises :class:`~rocminfra.operations.host_settings.InvalidSettings`, which ends the run before
    anything has changed.
    """
    try:
        return load_scenario(name, playbook_root() / "benchmarks")
    except SettingsError as error:
        raise InvalidSettings(current_host.name, error.problems) from None


def run_id(resumed: str | None) -> str:
    """Id of the benchmark run of this pyinfra run.

    + resumed: an earlier run to go on with; None for a new one
    """
    if resumed is not None:
        return resumed
    return _run_ids.setdefault(current_host.state, new_run_id())


def program_files() -> list[HostFile]:
    """The programs that a benchmark runs on the host."""
    return [HostFile(path, text) for path, text in benchmark().items()]


@operation(is_idempotent=False, idempotent_notice="A benchmark measures every time.")
def run(job: Job, results_dir: str, resumes: bool = False) -> Commands:
    """Run a scenario on the host and bring its results back, verified.

    + job: what to run (:func:`rocminfra.bench.job.make_job`)
    + results_dir: folder of all runs on the operator's machine
    + resumes: whether ``job.run`` is an earlier run; valid points are then kept, and a run that
      still goes on is waited for

    The benchmark runs in a unit of its own, so that a lost connection loses nothing. Results
    come back whatever happened; an invalid or failed point fails the host afterwards.
    """
    yield FunctionCommand(_run, (job, results_dir, resumes), {})


def run_under_way(host: Host) -> str | None:
    """Id of the benchmark run that ``host`` works on, which goes on without this process."""
    run: str | None = host.connector_data.get(_UNDER_WAY)
    return run


def results_folder(host: Host) -> Path | None:
    """Where this pyinfra run has put the results of ``host``, complete or not."""
    folder: Path | None = host.connector_data.get(_RESULTS)
    return folder


class _HostRemote:
    """pyinfra's host as a session takes it."""

    def __init__(self, state: State, host: Host) -> None:
        self._state = state
        self._host = host
        self._arguments = transfers.arguments_of(host)

    def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
        arguments = {**self._arguments, "_timeout": timeout_s}
        if stdin is not None:
            arguments["_stdin"] = stdin
        try:
            succeeded, output = self._host.run_shell_command(
                StringCommand(framed(command)), **arguments
            )
        except SSHException as error:
            raise OSError(str(error)) from error
        stdout = answer(output.stdout_lines)
        return Answer(succeeded, "\n".join(stdout or ()), output.stderr)

    def fetch(self, path: str, target: Path) -> None:
        transfers.fetch(self._state, self._host, path, target, self._arguments)


def _run(state: State, host: Host, job: Job, results_dir: str, resumes: bool) -> bool:
    session = Session(
        job=job,
        remote=_HostRemote(state, host),
        results_dir=Path(results_dir),
        say=lambda line: host.log(line, logger.info),
        resumes=resumes,
    )
    host.connector_data[_UNDER_WAY] = job.run
    try:
        outcome = session.run()
    except FailedError as error:
        record(host, error.failure)
        return False
    except OSError as error:
        # What raises for the host's connection is a FailedError; this is our own disk.
        record(
            host,
            Failure(
                Fault.RESULTS_NOT_WRITABLE,
                f"results of run {job.run} could not be written to {results_dir}: {error}",
                next=Again("make room, then", resume=job.run),
            ),
        )
        return False
    return _tell(host, job, outcome)


def _tell(host: Host, job: Job, outcome: Outcome) -> bool:
    for line in table.lines(table.read_table(outcome.folder.parent)):
        host.log(line, logger.info)
    host.log(f"results: {outcome.folder}", logger.info)
    host.connector_data[_RESULTS] = outcome.folder
    if not outcome.problems:
        return True
    record(
        host,
        Failure(
            Fault.BENCHMARK_INVALID,
            f"run {job.run} of {job.scenario.name} is invalid",
            outcome.problems,
            Again("run what is not valid again, and nothing else", resume=job.run),
        ),
    )
    return False
