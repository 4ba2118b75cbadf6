"""Bring the results of a run back, verified, and publish them with one rename."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rocminfra.bench import results
from rocminfra.bench.remote_run import ANSWER_TIMEOUT_S, RemoteRun
from rocminfra.bench.unpacking import unpack
from rocminfra.failure import FailedError, Fault
from rocminfra.planning.bench.manifest import PARTIAL
from rocminfra.planning.bench.records import Status

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
class Collector:
    """Brings one run back.

    + target: the run
    + results_dir: folder of all runs here
    + say: takes what happened, a line each
    """

    target: RemoteRun
    results_dir: Path
    say: Callable[[str], None]

    @property
    def folder(self) -> Path:
        """Where the host's results of this run are published."""
        return self.results_dir / self.target.run / results.folder_name(self.target.host)

    def bring_back(self, status: Status) -> Outcome:
        """Collect what is not here yet.

        + status: of a run that has ended

        Raises :class:`FailedError`, OSError when the disk here does not take it.
        """
        target = self.target
        if status.state == "finished" and results.is_complete(
            self.results_dir, target.run, target.host, status.manifest_sha256
        ):
            self.say(f"results of run {target.run} are here already")
        else:
            self._collect(status.state)
        return Outcome(self.folder, _problems(status, self.folder))

    def _collect(self, state: str) -> None:
        target = self.target
        # An ended run says so itself; what is fetched while it runs is never published.
        not_finished = () if state == "finished" else (f"the run {state} before its end",)
        for attempt in range(1, FETCH_ATTEMPTS + 1):
            with results.staging(self.results_dir, target.run, target.host) as folder:
                archive = folder / "archive.tar.gz"
                self._fetch_archive(archive)
                staged = folder / "files"
                staged.mkdir()
                unpacked = unpack(archive, staged)
                if unpacked.problems and attempt < FETCH_ATTEMPTS:
                    self.say(f"results did not arrive whole, again: {unpacked.problems[0]}")
                    continue
                if not unpacked.digests:
                    what = f"no result of run {target.run} arrived"
                    raise FailedError(Fault.RESULTS_MISSING, what, unpacked.problems, target.again)
                missing = (*not_finished, *unpacked.problems)
                folder = results.publish(self.results_dir, target.run, target.host, staged, missing)
                if folder != self.folder:
                    what = (
                        f"run {target.run} came back in part; the complete results of an earlier "
                        f"attempt stay in {self.folder}"
                    )
                    why = (*missing, f"what came back is in {folder}")
                    raise FailedError(Fault.RESULTS_PARTIAL, what, why, target.again)
                return

    def _fetch_archive(self, archive: Path) -> None:
        target = self.target
        remote = f"{target.folder}.tar.gz"
        packed = target.ask(
            target.program(f"archive {shlex.quote(target.folder)} {shlex.quote(remote)}"),
            None,
            ARCHIVE_TIMEOUT_S,
        )
        if not packed.succeeded:
            what = f"the results of run {target.run} could not be packed on the host"
            raise FailedError(
                Fault.RESULTS_PARTIAL, what, packed.stderr.splitlines()[-5:], target.again
            )
        try:
            target.remote.fetch(remote, archive)
        except (OSError, EOFError) as error:
            raise target.lost(error) from None
        target.ask(f"rm -f {shlex.quote(remote)}", None, ANSWER_TIMEOUT_S)


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
