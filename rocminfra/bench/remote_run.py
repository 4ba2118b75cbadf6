"""A run on its host: asked how far it is, and stopped; every question names it in its failures."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from rocminfra import host_paths
from rocminfra.bench.remote import Answer, Remote
from rocminfra.failure import Again, FailedError, Fault
from rocminfra.planning.bench.progress import Status
from rocminfra.planning.bench.records import read

ANSWER_TIMEOUT_S = 60
# systemd kills what is left of a unit 60 s after it was told to stop.
STOP_TIMEOUT_S = 90


@dataclass(frozen=True)
class RemoteRun:
    """A run, as it is asked over the host's connection.

    + run: its id
    + host: name of the host
    + remote: the host
    + runs_folder: folder of all runs on the host
    """

    run: str
    host: str
    remote: Remote
    runs_folder: str = host_paths.RUNS

    @property
    def folder(self) -> str:
        """The run's folder on the host."""
        return f"{self.runs_folder}/{self.run}"

    @property
    def unit(self) -> str:
        """The systemd unit that it runs in."""
        return f"rocminfra-bench-{self.run}.service"

    @property
    def again(self) -> Again:
        """Go on with this run."""
        return Again(resume=self.run)

    @property
    def journal(self) -> str:
        """How to read what the run's programs said."""
        return f"on the host: journalctl -u {self.unit}"

    def status(self, seen: int = -1, wait_s: float = 0) -> Status:
        """How far the run is.

        + seen: revision that the caller has; a newer one is returned at once
        + wait_s: seconds to wait for a newer one

        Raises :class:`FailedError`.
        """
        words = f"status {shlex.quote(self.folder)} --seen {seen} --wait {wait_s:g}"
        answer = self.ask(self.program(words), None, ANSWER_TIMEOUT_S)
        try:
            return read(Status, json.loads(answer.stdout), "the answer of the host")
        except ValueError:
            what = "the benchmark's program on the host does not answer"
            why = answer.stderr.splitlines()[-5:]
            raise FailedError(Fault.RESULTS_PARTIAL, what, why, self.again) from None

    def stop(self) -> None:
        """End the run; returns when it has written its record. Raises :class:`FailedError`."""
        answer = self.ask(f"systemctl stop {shlex.quote(self.unit)}", None, STOP_TIMEOUT_S)
        if not answer.succeeded:
            what = f"run {self.run} could not be stopped"
            raise FailedError(Fault.RUN_NOT_STOPPED, what, answer.stderr.splitlines()[-5:])

    def program(self, arguments: str) -> str:
        """Command line of the benchmark's program on the host."""
        path = host_paths.BENCH_PROGRAMS
        return f"PYTHONPATH={path} python3 -m rocminfra.host.bench.runner {arguments}"

    def ask(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
        """Run a command on the host; raises :class:`FailedError` when the connection is lost."""
        try:
            answer = self.remote.run(command, stdin, timeout_s)
        except (OSError, EOFError) as error:
            raise self.lost(error) from None
        if not answer.succeeded and not answer.stdout and not answer.stderr:
            # How a connection that breaks looks to SSH clients: no exit code, no word.
            raise self.lost(ConnectionError("a command ended without a word"))
        return answer

    def lost(self, error: Exception) -> FailedError:
        """The failure of a connection that broke."""
        return FailedError(
            Fault.CONNECTION_LOST,
            f"the connection was lost during run {self.run}, which continues on the host",
            (f"{type(error).__name__}: {error}",),
            self.again,
        )
