"""Start GuideLLM by a fork of one process that has imported it.

GuideLLM's imports take four to five seconds of a core, for every point. A run keeps one process
that has made them, and each point's process is a copy of it, put into its own control group before
it does anything. Where that does not succeed, GuideLLM is started afresh, and the attempt's record
says why.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from rocminfra.host.bench.control_group import Groups, ProcessGroup, Running
from rocminfra.host.bench.warm_process import ForkedProcess, WarmError, WarmParent


class WarmLauncher:
    """Launcher for one run.

    + groups: starts and ends processes
    + name: prefix of the names of warm processes
    + ready_s: longest time for the imports, in seconds

    A context manager: the warm process ends with it.
    """

    def __init__(self, groups: Groups, name: str, ready_s: float) -> None:
        self._groups = groups
        self._name = name
        self._ready_s = ready_s
        self._parent: WarmParent | None = None
        self._last: ForkedProcess | None = None
        self._started = 0
        self._given_up: str | None = None

    def __enter__(self) -> WarmLauncher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._drop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> Running:
        """See :meth:`rocminfra.host.bench.control_group.Launcher.start`."""
        why = self._given_up
        if why is None:
            try:
                return self._fork(name, command[0], folder, environment, stdout, stderr)
            except WarmError as error:
                why = str(error)
                # What did not work at first is not tried again, at seconds a point.
                if self._parent is None or not self._parent.has_forked:
                    self._given_up = why
                self._drop()
        running = self._groups.start(name, command, folder, environment, stdout, stderr)
        running.origin = {"process": "fresh", "why_fresh": why}
        return running

    def _fork(
        self,
        name: str,
        python: str,
        folder: Path,
        environment: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> Running:
        # One that had to be killed may be a sign of something wrong with its parent.
        if self._last is not None and not self._last.ended_by_itself:
            self._drop()
        if self._parent is not None and not self._parent.fits(python, environment):
            self._drop()
        parent = self._parent
        if parent is None:
            self._started += 1
            parent = self._parent = WarmParent(
                self._groups, f"{self._name}-{self._started}", python, folder.parent, environment
            )
        parent.wait_until_ready(self._ready_s)
        process = parent.fork(folder, stdout.name, stderr.name)
        try:
            running = self._groups.adopt(name, process)
        except OSError as error:
            ProcessGroup(process, 0.0).end()
            raise WarmError(str(error)) from error
        except BaseException:
            # This program was told to stop.
            ProcessGroup(process, 0.0).end()
            raise
        running.origin = {"process": "forked", "parent": parent.pid}
        self._last = process
        parent.let_go(process)
        return running

    def _drop(self) -> None:
        if self._parent is not None:
            self._parent.end()
            self._parent = None
