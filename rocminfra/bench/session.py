"""One run on one host, from its start to its verified results on the operator's machine.

Knows nothing of pyinfra: whoever calls it brings a :class:`Remote`.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rocminfra.bench import results
from rocminfra.bench.job import Job
from rocminfra.bench.remote import Answer, Remote
from rocminfra.bench.unpacking import unpack
from rocminfra.failure import Again, Do, FailedError, Fault
from rocminfra.host_paths import BENCH_PROGRAMS
from rocminfra.planning.bench.manifest import PARTIAL
from rocminfra.planning.bench.points import planned_names
from rocminfra.planning.bench.records import PointSummary, Status, read

# One question waits at most this long on the host, so that a lost connection is noticed.
WAIT_SLICE_S = 15
# Time for starting and finishing a run, on top of what its points may take.
SLACK_S = 120
# A started run gives a sign of life within this.
START_S = 30
ANSWER_TIMEOUT_S = 60
ARCHIVE_TIMEOUT_S = 600
FETCH_ATTEMPTS = 2


@dataclass(frozen=True)
class Outcome:
    """A run that has come back.

    + folder: the host's folder of results
    + problems: why the run does not count on this host, a line each; empty when it does
    """

    folder: Path
    problems: tuple[str, ...]


@dataclass
class Session:
    """Carries a run through.

    + job: what to run
    + remote: the host
    + results_dir: folder of all runs here
    + say: takes progress, a line each
    + resumes: whether an earlier run is asked for
    + clock: monotonic seconds
    """

    job: Job
    remote: Remote
    results_dir: Path
    say: Callable[[str], None]
    resumes: bool = False
    clock: Callable[[], float] = time.monotonic
    _told: set[str] = field(default_factory=set)

    def run(self) -> Outcome:
        """Start the run or attach to it, wait for its end, bring the results back.

        Raises :class:`FailedError`; results that could be had are here by then.
        """
        status = self._status(seen=-1, wait_s=0)
        if self._is_to_start(status):
            self._start(status)
        else:
            self.say(f"run {self.job.run} is {status.state} on the host: attached")
        status = self._follow(status)
        return self._bring_back(status)

    def _is_to_start(self, status: Status) -> bool:
        state = status.state
        job = self.job
        is_unknown = status.scenario is None and not (self.results_dir / job.run).exists()
        if self.resumes and is_unknown:
            raise FailedError(
                Fault.RUN_UNKNOWN,
                f"there is no run {job.run} to resume, neither on the host nor in "
                f"{self.results_dir}",
                next=Again(new_run=True),
            )
        if self.resumes and self._is_forgotten(status):
            raise FailedError(
                Fault.RUN_COMPLETE,
                f"the host does not know run {job.run} any more, and its complete results are in "
                f"{self._folder}",
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
                next=Again("wait for it, or follow it", resume=busy_with),
            )
        valid = [point for point in status.points if point.outcome == "valid"]
        return not (state == "finished" and len(valid) >= len(planned_names(job.scenario.plan)))

    def _is_forgotten(self, status: Status) -> bool:
        """Whether a start would measure anew, under the name of what is here and complete."""
        is_here = results.holds_complete(self.results_dir, self.job.run, self.job.host)
        return status.scenario is None and is_here

    @property
    def _folder(self) -> Path:
        return self.results_dir / self.job.run / results.folder_name(self.job.host)

    def _start(self, status: Status) -> None:
        job = self.job
        folder, unit = shlex.quote(job.folder), shlex.quote(job.unit)
        limit = int(job.scenario.deadline_seconds + SLACK_S)
        command = (
            # Active: started a moment ago, by a run whose connection was lost.
            f"systemctl is-active --quiet {unit} || {{ "
            # An old status would be taken for the new run's.
            f"install -d -m 0755 {folder} && rm -f {folder}/status.json && "
            f"cat > {folder}/job.json.new && mv -f {folder}/job.json.new {folder}/job.json && "
            f"systemd-run --quiet --collect --unit={unit} "
            f"--property=KillMode=control-group --property=TimeoutStopSec=60 "
            f"--property=RuntimeMaxSec={limit} --setenv=PYTHONPATH={BENCH_PROGRAMS} "
            f"python3 -m rocminfra.host.bench.runner run {folder} --unit {unit}; }}"
        )
        answer = self._ask(command, job.text, ANSWER_TIMEOUT_S)
        if not answer.succeeded:
            why = answer.stderr.splitlines()
            what = f"run {job.run} did not start"
            raise FailedError(Fault.RUN_DID_NOT_START, what, why, Do(self._journal))
        valid = sum(point.outcome == "valid" for point in status.points)
        kept = f", {valid} valid points are kept" if valid else ""
        points = len(planned_names(job.scenario.plan))
        self.say(
            f"run {job.run}: {job.scenario.name}, {points} points, detached as {job.unit}{kept}"
        )

    def _follow(self, status: Status) -> Status:
        deadline = self.clock() + self.job.scenario.deadline_seconds + 2 * SLACK_S
        started_by = self.clock() + START_S
        seen = -1
        while True:
            status = self._status(seen, WAIT_SLICE_S)
            self._tell(status)
            seen = status.revision
            state = status.state
            if state == "none" and self.clock() > started_by:
                what = f"run {self.job.run} was started and left no sign of life"
                raise FailedError(Fault.RUN_DID_NOT_START, what, next=Do(self._journal))
            if state not in ("none", "running"):
                return status
            if self.clock() > deadline:
                what = f"run {self.job.run} has not ended in time"
                raise FailedError(Fault.RUN_NOT_IN_TIME, what, next=self._again)

    def _tell(self, status: Status) -> None:
        for repeat in status.repeats:
            key = f"{repeat.name} {repeat.attempt}"
            if key not in self._told:
                self._told.add(key)
                self.say(
                    f"{repeat.label}: {repeat.why}; attempt {repeat.attempt} begins, "
                    "in a new process and with another seed"
                )
        for number, point in enumerate(status.points, start=1):
            if point.name in self._told:
                continue
            self._told.add(point.name)
            self.say(
                f"{number}/{status.planned} {point.label}: {point.outcome} "
                f"({point.wall_seconds:.0f} s{_attempts(point)})"
                + "".join(f"; {reason}" for reason in point.reasons)
            )

    def _bring_back(self, status: Status) -> Outcome:
        job = self.job
        state = status.state
        if state == "finished" and results.is_complete(
            self.results_dir, job.run, job.host, status.manifest_sha256
        ):
            self.say(f"results of run {job.run} are here already")
        else:
            self._collect(state)
        return Outcome(self._folder, _problems(status, self._folder))

    def _collect(self, state: str) -> None:
        job = self.job
        # An ended run says so itself; what is fetched while it runs is never published.
        not_finished = () if state == "finished" else (f"the run {state} before its end",)
        for attempt in range(1, FETCH_ATTEMPTS + 1):
            with results.staging(self.results_dir, job.run, job.host) as folder:
                archive = folder / "archive.tar.gz"
                self._fetch_archive(archive)
                staged = folder / "files"
                staged.mkdir()
                unpacked = unpack(archive, staged)
                if unpacked.problems and attempt < FETCH_ATTEMPTS:
                    self.say(f"results did not arrive whole, again: {unpacked.problems[0]}")
                    continue
                if not unpacked.digests:
                    what = f"no result of run {job.run} arrived"
                    raise FailedError(Fault.RESULTS_MISSING, what, unpacked.problems, self._again)
                missing = (*not_finished, *unpacked.problems)
                folder = results.publish(self.results_dir, job.run, job.host, staged, missing)
                if folder != self._folder:
                    what = (
                        f"run {job.run} came back in part; the complete results of an earlier "
                        f"attempt stay in {self._folder}"
                    )
                    why = (*missing, f"what came back is in {folder}")
                    raise FailedError(Fault.RESULTS_PARTIAL, what, why, self._again)
                return

    def _fetch_archive(self, target: Path) -> None:
        remote = f"{self.job.folder}.tar.gz"
        packed = self._ask(
            self._program(f"archive {shlex.quote(self.job.folder)} {shlex.quote(remote)}"),
            None,
            ARCHIVE_TIMEOUT_S,
        )
        if not packed.succeeded:
            what = f"the results of run {self.job.run} could not be packed on the host"
            raise FailedError(
                Fault.RESULTS_PARTIAL, what, packed.stderr.splitlines()[-5:], self._again
            )
        try:
            self.remote.fetch(remote, target)
        except (OSError, EOFError) as error:
            raise self._lost(error) from None
        self._ask(f"rm -f {shlex.quote(remote)}", None, ANSWER_TIMEOUT_S)

    def _status(self, seen: int, wait_s: int) -> Status:
        arguments = f"status {shlex.quote(self.job.folder)} --seen {seen} --wait {wait_s}"
        answer = self._ask(self._program(arguments), None, ANSWER_TIMEOUT_S)
        try:
            status = read(Status, json.loads(answer.stdout), "the answer of the host")
        except ValueError:
            what = "the benchmark's program on the host does not answer"
            why = answer.stderr.splitlines()[-5:]
            raise FailedError(Fault.RESULTS_PARTIAL, what, why, self._again) from None
        return status

    def _program(self, arguments: str) -> str:
        return f"PYTHONPATH={BENCH_PROGRAMS} python3 -m rocminfra.host.bench.runner {arguments}"

    def _ask(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
        try:
            answer = self.remote.run(command, stdin, timeout_s)
        except (OSError, EOFError) as error:
            raise self._lost(error) from None
        if not answer.succeeded and not answer.stdout and not answer.stderr:
            # How a connection that breaks looks to SSH clients: no exit code, no word.
            raise self._lost(ConnectionError("a command ended without a word"))
        return answer

    def _lost(self, error: Exception) -> FailedError:
        return FailedError(
            Fault.CONNECTION_LOST,
            f"the connection was lost during run {self.job.run}, which continues on the host",
            (f"{type(error).__name__}: {error}",),
            self._again,
        )

    @property
    def _again(self) -> Again:
        return Again(resume=self.job.run)

    @property
    def _journal(self) -> str:
        return f"on the host: journalctl -u {self.job.unit}"


def _attempts(point: PointSummary) -> str:
    count = point.attempts
    return f", {count} attempts" if count > 1 else ""


def _problems(status: Status, folder: Path) -> tuple[str, ...]:
    problems = [
        f"{point.label} is {point.outcome}: {reason}"
        for point in status.points
        if point.outcome != "valid"
        for reason in point.reasons
    ]
    left = status.planned - len(status.points)
    if left > 0:
        problems.append(f"{left} of {status.planned} points were never run")
    partial = folder / PARTIAL
    if partial.exists():
        problems.extend(partial.read_text(encoding="utf-8").splitlines())
    return tuple(problems)
