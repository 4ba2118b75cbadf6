"""Benchmarks: GuideLLM on the host, detached, and its results brought back."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from pathlib import Path

from pyinfra import host as current_host
from pyinfra import logger
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.bench.collecting import Collector, Outcome
from rocminfra.bench.following import Follower
from rocminfra.bench.job import Job, new_run_id
from rocminfra.bench.remote_run import RemoteRun
from rocminfra.bench.scenario import Scenario, load_scenario
from rocminfra.bench.session import Session
from rocminfra.failure import Again, FailedError, Failure, Fault
from rocminfra.host.programs import benchmark
from rocminfra.operations import load_generator
from rocminfra.operations.bench_remote import HostRemote, remote_of
from rocminfra.operations.commands import Commands
from rocminfra.operations.host_failures import record
from rocminfra.operations.host_files import HostFile
from rocminfra.operations.host_settings import InvalidSettings
from rocminfra.operations.progress import is_heard, tell
from rocminfra.operations.run_now import BEAT_S
from rocminfra.planning.bench.live import words
from rocminfra.planning.bench.progress import Status
from rocminfra.planning.bench.verified import VerifiedFiles
from rocminfra.playbook_files import playbook_root
from rocminfra.report import table
from rocminfra.settings.problems import SettingsError

_RESULTS = "rocminfra.results"
_VERIFIED = "rocminfra.results_verified"
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
def run(
    job: Job, results_dir: str, resumes: bool = False, load: load_generator.Load | None = None
) -> Commands:
    """Run a scenario on the host and bring its results back, verified.

    + job: what to run (:func:`rocminfra.bench.job.make_job`)
    + results_dir: folder of all runs on the operator's machine
    + resumes: whether ``job.run`` is an earlier run; valid points are then kept, and a run that
      still goes on is waited for
    + load: the host on which GuideLLM runs (:func:`rocminfra.operations.load_generator.of`); None
      for this one

    The benchmark runs in a unit of its own, so that a lost connection loses nothing. Results
    come back whatever happened; an invalid or failed point fails the host afterwards.
    """
    yield FunctionCommand(_run, (job, results_dir, resumes, load), {})


def run_under_way(host: Host) -> str | None:
    """Id of the benchmark run that ``host`` works on, which goes on without this process."""
    run: str | None = host.connector_data.get(_UNDER_WAY)
    return run


def results_folder(host: Host) -> Path | None:
    """Where this pyinfra run has put the results of ``host``, complete or not."""
    folder: Path | None = host.connector_data.get(_RESULTS)
    return folder


def verified_results(host: Host) -> VerifiedFiles:
    """Files of :func:`results_folder` that this pyinfra run has compared with the manifest."""
    files: VerifiedFiles = host.connector_data.get(_VERIFIED, {})
    return files


def _run(
    state: State,
    host: Host,
    job: Job,
    results_dir: str,
    resumes: bool,
    load: load_generator.Load | None,
) -> bool:
    def open_link() -> None:
        if load is not None:
            host.log(f"the load comes from {load.name}", logger.info)
            load_generator.opened(state, host, job, load)

    def close_link() -> None:
        if load is not None:
            load_generator.closed(state, host, job, load)

    session = Session(
        job=job,
        remote=HostRemote(state, host),
        results_dir=Path(results_dir),
        say=lambda line: host.log(line, logger.info),
        show=_shown(host),
        show_bytes=_shown_bytes(host),
        resumes=resumes,
        open_link=open_link,
        close_link=close_link,
    )
    host.connector_data[_UNDER_WAY] = job.run
    return _recorded(host, job.run, results_dir, session.run)


def attach(state: State, host: Host, run: str, results_dir: str) -> bool:
    """Follow a run that goes on, and bring its results back; outside any operation.

    + run: its id
    + results_dir: folder of all runs on the operator's machine

    Returns whether it counts; what is wrong is recorded on the host.
    """
    host.connector_data[_UNDER_WAY] = run

    def follow() -> Outcome:
        collector = _collector(state, host, run, results_dir)
        status = collector.target.status()
        if status.state in ("none", "running"):
            collector.say(f"run {run} is {status.state} on the host: attached")
        status = Follower(collector.target, collector.say, _shown(host)).follow()
        return collector.bring_back(status)

    return _recorded(host, run, results_dir, follow)


def collect(state: State, host: Host, run: str, results_dir: str) -> bool:
    """Bring back what a run has measured; outside any operation.

    + run: its id; one that still runs is refused, for its results change
    + results_dir: folder of all runs on the operator's machine

    Returns whether it counts; what is wrong is recorded on the host.
    """

    def bring() -> Outcome:
        collector = _collector(state, host, run, results_dir)
        status = collector.target.status()
        if status.state == "running":
            raise FailedError(
                Fault.BENCHMARK_RUNNING,
                f"run {run} still runs on this host",
                next=Again("follow it to its end", attach=run),
            )
        return collector.bring_back(status)

    return _recorded(host, run, results_dir, bring)


def stop(state: State, host: Host, run: str) -> Status | None:
    """End a run; what it has measured stays on the host, and ``collect`` brings it back.

    + run: its id

    Returns its last status, or None when it could not be stopped; why is recorded on the host.
    """
    target = RemoteRun(run, host.name, remote_of(state, host))
    try:
        if target.status().state == "running":
            target.stop()
        return target.status()
    except FailedError as error:
        record(host, error.failure)
        return None


def status(state: State, host: Host, run: str) -> Status | None:
    """How far a run is; None when the host does not say, and why is recorded on it."""
    try:
        return RemoteRun(run, host.name, remote_of(state, host)).status()
    except FailedError as error:
        record(host, error.failure)
        return None


def _shown(host: Host, clock: Callable[[], float] = time.monotonic) -> Callable[[Status], None]:
    """Shows how far a run is: to whoever listens, else as a line every ten seconds."""
    said = [clock()]

    def show(status: Status) -> None:
        if status.live is None:
            return
        if is_heard(host):
            tell(host, note=words(status.live))
        elif clock() - said[0] >= BEAT_S:
            said[0] = clock()
            host.log(words(status.live), logger.info)

    return show


def _shown_bytes(host: Host) -> Callable[[int, int], None]:
    return lambda done, total: tell(
        host, done_bytes=done, total_bytes=total, note="results are brought back"
    )


def _collector(state: State, host: Host, run: str, results_dir: str) -> Collector:
    target = RemoteRun(run, host.name, remote_of(state, host))
    return Collector(
        target,
        Path(results_dir),
        lambda line: host.log(line, logger.info),
        _shown_bytes(host),
    )


def _recorded(host: Host, run: str, results_dir: str, work: Callable[[], Outcome]) -> bool:
    try:
        outcome = work()
    except FailedError as error:
        record(host, error.failure)
        return False
    except OSError as error:
        # What raises for the host's connection is a FailedError; this is our own disk.
        record(
            host,
            Failure(
                Fault.RESULTS_NOT_WRITABLE,
                f"results of run {run} could not be written to {results_dir}: {error}",
                next=Again("make room, then", resume=run),
            ),
        )
        return False
    return _tell(host, run, outcome)


def _tell(host: Host, run: str, outcome: Outcome) -> bool:
    # The runner prints the table itself, once for all hosts, where data goes.
    if not is_heard(host):
        for line in table.lines(table.read_table(outcome.folder.parent)):
            host.log(line, logger.info)
        host.log(f"results: {outcome.folder}", logger.info)
    host.connector_data[_RESULTS] = outcome.folder
    host.connector_data[_VERIFIED] = outcome.verified
    if not outcome.problems:
        return True
    record(
        host,
        Failure(
            Fault.BENCHMARK_INVALID,
            f"run {run} is invalid",
            outcome.problems,
            Again("run what is not valid again, and nothing else", resume=run),
        ),
    )
    return False
