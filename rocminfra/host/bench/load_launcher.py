"""Start GuideLLM on another host, so that a point cannot tell the difference.

Its output appears in the point's folder as it does when it runs here: logs as they are written, its
report once it has ended.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from rocminfra.host.bench import load_frames
from rocminfra.host.bench.control_group import KILLED_S
from rocminfra.host.bench.load_agent import (
    EARLY,
    INPUTS,
    LOGS,
    MOST_EARLY,
    RESULTS,
    VARIABLES,
)
from rocminfra.host.bench.load_connection import Connection, connect
from rocminfra.planning.bench.job_record import LoadRecord

# Exit code of an SSH client whose connection is lost (ssh(1)).
LOST = 255
MOST_LOG = 64 * 1024 * 1024


class Elsewhere:
    """Launcher whose processes run on the load generator.

    + load: where that is
    """

    def __init__(self, load: LoadRecord) -> None:
        self._load = load

    def start(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> RemoteRunning:
        """See :meth:`rocminfra.host.bench.control_group.Launcher.start`.

        What runs there is decided there: of ``command`` only the files in ``folder`` matter.
        """
        del name, command
        running = RemoteRunning(self._load, folder, stdout, stderr)
        wanted = {key: text for key, text in environment.items() if VARIABLES.fullmatch(key)}
        running.begin({"environment": wanted})
        return running


class RemoteRunning:
    """GuideLLM on another host, and everything it started there.

    + load: where that is
    + folder: the point's folder
    + stdout, stderr: take its output
    """

    def __init__(
        self, load: LoadRecord, folder: Path, stdout: IO[bytes], stderr: IO[bytes]
    ) -> None:
        self._load = load
        self._folder = folder
        self._logs = dict(zip(LOGS, (stdout, stderr)))
        self._said = dict.fromkeys(LOGS, 0)
        self._files = load_frames.Files(
            folder, load_frames.one_of((*EARLY, *RESULTS)), dict.fromkeys(EARLY, MOST_EARLY)
        )
        self._cpu_s: dict[int, float] = {}
        self._exit: list[int | None] = []
        self._exited = threading.Event()
        self.origin: Mapping[str, Any] = {"process": "fresh"}
        self.trouble: str | None = None
        self._connection: Connection = connect(Path(load.link), "run", self._take)

    @property
    def pid(self) -> int:
        """PID of the SSH client."""
        return self._connection.pid

    @property
    def machine(self) -> dict[str, Any]:
        """The host that it runs on, and how far its clock is from this host's."""
        return {**self._connection.machine, "clock": self._connection.clock.record}

    def begin(self, order: Mapping[str, Any]) -> None:
        """Send the point's files and start GuideLLM; raises OSError when the connection is gone."""
        for name in INPUTS:
            load_frames.send_file(self._connection.send, self._folder / name, name)
        self._connection.send({"order": dict(order)})

    def wait(self, timeout: float) -> int | None:
        """See :meth:`rocminfra.host.bench.control_group.Running.wait`."""
        deadline = time.monotonic() + timeout
        while not self._exited.wait(min(0.1, timeout)):
            if self._connection.ended.is_set():
                # What came last may still be in the making.
                if self._exited.wait(0.2):
                    break
                said = self._connection.last_words
                self.trouble = (
                    f"the connection to the load generator {self._load.host} was lost"
                    + (f": {said}" if said else "")
                )
                return LOST
            if time.monotonic() >= deadline:
                return None
        if self._exit[0] is None:
            self.trouble = f"the load generator {self._load.host} ended GuideLLM"
            return LOST
        return self._exit[0]

    def end(self) -> None:
        """See :meth:`rocminfra.host.bench.control_group.Running.end`.

        Without a connection the other side ends it by itself, half a minute later.
        """
        self._connection.close(KILLED_S)

    def cpu_seconds(self) -> dict[int, float]:
        """See :meth:`rocminfra.host.bench.control_group.Running.cpu_seconds`."""
        return dict(self._cpu_s)

    def ask_for_stacks(self, number: int, path: Path, patience_s: float = 6.0) -> bool:
        """See :meth:`rocminfra.host.bench.control_group.Running.ask_for_stacks`."""
        del number
        try:
            self._connection.send({"stacks": True})
        except (OSError, ValueError):
            return False
        deadline, before = time.monotonic() + patience_s, -1
        while time.monotonic() < deadline:
            size = path.stat().st_size if path.exists() else 0
            if size and size == before:
                return True
            before = size
            time.sleep(0.5)
        return before > 0

    def _take(self, header: dict[str, Any], body: bytes) -> None:
        if "log" in header:
            log = self._logs[header["log"]]
            self._said[header["log"]] += len(body)
            if self._said[header["log"]] > MOST_LOG:
                raise load_frames.FrameError(f"{header['log']} has more than {MOST_LOG} bytes")
            log.write(body)
            log.flush()
        elif "file" in header:
            self._files.take(header, body)
        elif "cpu" in header:
            self._cpu_s = {int(pid): float(seconds) for pid, seconds in header["cpu"].items()}
        elif "exit" in header and not self._exited.is_set():
            code = header["exit"]
            self._exit.append(None if code is None else int(code))
            self._exited.set()
