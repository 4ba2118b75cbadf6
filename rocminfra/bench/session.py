"""One run on one host, from its start to its verified results on the operator's machine.

Knows nothing of pyinfra: whoever calls it brings a :class:`Remote`.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rocminfra.bench import results
from rocminfra.bench.collecting import Collector
from rocminfra.bench.collecting import Outcome as Outcome
from rocminfra.bench.following import Follower
from rocminfra.bench.job import Job
from rocminfra.bench.remote import Remote
from rocminfra.bench.remote_run import ANSWER_TIMEOUT_S, RemoteRun
from rocminfra.failure import Again, Do, FailedError, Fault
from rocminfra.host_paths import BENCH_PROGRAMS
from rocminfra.planning.bench.progress import Status
from rocminfra.planning.bench_start import unknown_run
from rocminfra.plural import plural

# Time for starting and finishing a run, on top of what its points may take.
SLACK_S = 120
_OPEN_FILES = 65536


@dataclass
class Session:
    """Carries a run through.

    + job: what to run
    + remote: the host
    + results_dir: folder of all runs here
    + say: takes progress, a line each
    + show: takes every status, for live progress
    + show_bytes: takes how much of the results has come, and how much is to come
    + resumes: whether an earlier run is asked for
    + open_link: called before the run starts, unless it runs already
    + close_link: called when the host did not start it then
    + clock: monotonic seconds
    """

    job: Job
    remote: Remote
    results_dir: Path
    say: Callable[[str], None]
    show: Callable[[Status], None] = lambda status: None
    show_bytes: Callable[[int, int], None] = lambda done, total: None
    resumes: bool = False
    open_link: Callable[[], None] = lambda: None
    close_link: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic

    def run(self) -> Outcome:
        """Start the run or attach to it, wait for its end, bring the results back.

        Raises :class:`FailedError`; results that could be had are here by then.
        """
        status = self._target.status()
        if self._is_to_start(status):
            self.open_link()
            self._start(status)
        else:
            self.say(f"run {self.job.run} is {status.state} on the host: attached")
        longest_s = self.job.scenario.deadline_seconds + 2 * SLACK_S
        status = Follower(self._target, self.say, self.show, self.clock).follow(longest_s)
        return self._collector.bring_back(status)

    @property
    def _target(self) -> RemoteRun:
        return RemoteRun(self.job.run, self.job.host, self.remote, self.job.runs_folder)

    @property
    def _collector(self) -> Collector:
        return Collector(self._target, self.results_dir, self.say, self.show_bytes)

    def _is_to_start(self, status: Status) -> bool:
        state = status.state
        job = self.job
        is_unknown = status.scenario is None and not (self.results_dir / job.run).exists()
        if self.resumes and is_unknown:
            raise FailedError.of(unknown_run(job.run, str(self.results_dir)))
        if self.resumes and self._is_forgotten(status):
            raise FailedError(
                Fault.RUN_COMPLETE,
                f"the host does not know run {job.run} any more, and its complete results are in "
                f"{self._collector.folder}",
                next=Again("begin a new run; those results stay", new_run=True),
            )
        if status.scenario is not None and status.scenario != job.record.scenario:
            raise FailedError(
                Fault.RUN_OF_ANOTHER_SCENARIO,
                f"run {job.run} was made with another scenario than {job.scenario.name} is now",
                next=Again("a changed scenario is a new run", new_run=True),
            )
        if state == "running":
            return False
        busy_with = status.busy_with
        if busy_with is not None:
            raise FailedError(
                Fault.BENCHMARK_RUNNING,
                f"benchmark {busy_with} runs on this host",
                next=Again("wait for it, or follow it", attach=busy_with),
            )
        valid = [point for point in status.points if point.outcome == "valid"]
        return not (state == "finished" and len(valid) >= len(job.scenario.planned))

    def _is_forgotten(self, status: Status) -> bool:
        """Whether a start would measure again under the name of complete results that are here."""
        is_here = results.holds_complete(self.results_dir, self.job.run, self.job.host)
        return status.scenario is None and is_here

    def _start(self, status: Status) -> None:
        job = self.job
        folder, unit = shlex.quote(job.folder), shlex.quote(job.unit)
        limit = int(job.scenario.deadline_seconds + SLACK_S)
        command = (
            # Active: started a moment ago, by a run whose connection was lost.
            f"systemctl is-active --quiet {unit} || {{ "
            # What an earlier start left would be taken for this one's.
            f"install -d -m 0755 {folder} && rm -f {folder}/status.json {folder}/refused && "
            f"cat > {folder}/job.json.new && mv -f {folder}/job.json.new {folder}/job.json && "
            f"systemd-run --quiet --collect --unit={unit} "
            f"--property=KillMode=control-group --property=TimeoutStopSec=60 "
            # A file for each stream, and systemd allows 1,024 unless told otherwise.
            f"--property=RuntimeMaxSec={limit} --property=LimitNOFILE={_OPEN_FILES} "
            f"{_afterwards(job)}"
            f"--setenv=PYTHONPATH={BENCH_PROGRAMS} "
            f"python3 -m rocminfra.host.bench.runner run {folder} --unit {unit}; }}"
        )
        answer = self._target.ask(command, job.text, ANSWER_TIMEOUT_S)
        if not answer.succeeded:
            why = answer.stderr.splitlines()
            what = f"run {job.run} did not start"
            # Whatever else happens, the unit takes the link away at its end.
            self.close_link()
            raise FailedError(Fault.RUN_DID_NOT_START, what, why, Do(self._target.journal))
        valid = sum(point.outcome == "valid" for point in status.points)
        kept = f", keeps {plural(valid, 'valid point')}" if valid else ""
        points = plural(len(job.scenario.planned), "point")
        self.say(f"run {job.run}: {job.scenario.name}, {points}, detached as {job.unit}{kept}")


def _afterwards(job: Job) -> str:
    """What systemd does when the run has ended in whatever way."""
    load = job.record.load_generator
    if load is None:
        return ""
    command = f"/usr/bin/env python3 -m rocminfra.host.bench.load_link end {load.link}"
    return f"{shlex.quote(f'--property=ExecStopPost={command}')} "
