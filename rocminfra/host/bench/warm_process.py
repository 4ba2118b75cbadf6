"""The process that has imported GuideLLM, ``warm_parent.py``, and those that it forks.

Seen from the program that gives it orders. Standard library only: this file is copied to the host
as it is.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.host.bench import guidellm_launcher
from rocminfra.host.bench.control_group import Groups
from rocminfra.host.bench.files import read_json
from rocminfra.planning.bench.guidellm_spec import ARGUMENTS

PROGRAM = str(Path(guidellm_launcher.__file__).with_name("warm_parent.py"))
# For a fork on a busy machine.
FORK_S = 30.0
# For the parent to notice that a process of its has ended.
NOTICE_S = 5.0
_POLL_S = 0.2


class WarmError(Exception):
    """A process was not forked; the message says why."""


class WarmParent:
    """A process that has imported GuideLLM, seen from the program that gives it orders.

    + groups: starts it
    + name: its name in process lists
    + python: the Python of GuideLLM's environment
    + folder: its working folder
    + environment: its variables, which are those of every process that it forks

    ``is_lost`` once it has ended; ``has_forked`` once a process of its was let go.
    """

    def __init__(
        self,
        groups: Groups,
        name: str,
        python: str,
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._made_for = (python, dict(environment))
        self._channel, theirs = socket.socketpair()
        # Without a name: of no use unless it fails.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._rest = b""
        self._is_ready = False
        # What it answered, and the exit codes of what it forked, by PID.
        self._answers: list[dict[str, Any]] = []
        self._codes: dict[int, int] = {}
        self.is_lost = False
        self.has_forked = False
        with theirs:
            try:
                self._running = groups.start(
                    *(name, (python, "-I", PROGRAM), folder, environment, self._said, self._said),
                    stdin=theirs.fileno(),
                )
            except OSError as error:
                self._channel.close()
                self._said.close()
                raise WarmError(f"the warm process did not start: {error}") from error

    @property
    def pid(self) -> int:
        """PID of the process."""
        return self._running.pid

    def fits(self, python: str, environment: Mapping[str, str]) -> bool:
        """Whether it was made for this Python and these variables, and still answers."""
        self.listen(0.0)
        return not self.is_lost and self._made_for == (python, dict(environment))

    def wait_until_ready(self, seconds: float) -> None:
        """Wait for its imports; raises :class:`WarmError` when they fail or take longer."""
        if not self._is_ready:
            answer = self._answer("import GuideLLM", seconds)
            if "ready" not in answer:
                raise WarmError(f"no warm process: {answer.get('refused')}")
            self._is_ready = True

    def fork(self, folder: Path, stdout: str, stderr: str) -> ForkedProcess:
        """A process that waits to be let go.

        + folder: its working folder
        + stdout, stderr: files for its output

        Raises :class:`WarmError` when there is none.
        """
        files = {"stdout": stdout, "stderr": stderr}
        self._send({"fork": {"folder": str(folder), "arguments": ARGUMENTS, **files}})
        answer = self._answer("fork", FORK_S)
        if "forked" not in answer:
            raise WarmError(f"the warm process did not fork: {answer.get('refused')}")
        return ForkedProcess(self, int(answer["forked"]), folder)

    def let_go(self, process: ForkedProcess) -> None:
        """Let a process run GuideLLM."""
        self.has_forked = True
        # If this fails, the process ends, and that is noticed like any other end.
        with contextlib.suppress(WarmError):
            self._send({"go": process.pid})

    def listen(self, timeout: float) -> None:
        """Take what it says within ``timeout`` seconds, at least once."""
        if self.is_lost or not select.select([self._channel], [], [], timeout)[0]:
            return
        try:
            data = self._channel.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.is_lost = True
        *lines, self._rest = (self._rest + data).split(b"\n")
        for message in map(json.loads, lines):
            if "ended" in message:
                self._codes[message["ended"]] = message["code"]
            else:
                self._answers.append(message)

    def exit_code(self, pid: int) -> int | None:
        """Exit code of a process that it forked, once it has said so."""
        return self._codes.get(pid)

    def end(self) -> None:
        """End it, and whatever of its still waits or runs."""
        # Its own end, which it knows best how to come to.
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._running.wait(1.0)
        self._running.end()
        self._channel.close()
        self._said.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            self._channel.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise WarmError(f"the warm process is gone: {self._last_words()}") from error

    def _answer(self, what: str, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while not self._answers:
            left = deadline - time.monotonic()
            if self.is_lost:
                raise WarmError(f"the warm process ended: {self._last_words()}")
            if left <= 0:
                raise WarmError(f"the warm process did not {what} within {seconds:g} s")
            self.listen(left)
        return self._answers.pop(0)

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


class ForkedProcess:
    """A process of a :class:`WarmParent`, as :class:`subprocess.Popen` has one.

    + folder: where the launcher in it writes its record
    """

    def __init__(self, parent: WarmParent, pid: int, folder: Path) -> None:
        self.pid = pid
        self._parent = parent
        self._folder = folder
        self._born = _state(pid)[1]
        self._code: int | None = None
        self._dead_since: float | None = None

    @property
    def ended_by_itself(self) -> bool:
        """Whether it has ended, and not by a signal."""
        return self._code is not None and self._code >= 0

    def poll(self) -> int | None:
        """See :class:`rocminfra.host.bench.control_group.Process`."""
        self._look(0.0)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """See :class:`rocminfra.host.bench.control_group.Process`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _POLL_S if deadline is None else deadline - time.monotonic()
            self._look(max(0.0, min(left, _POLL_S)))
            if self._code is not None:
                return self._code
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired([PROGRAM], timeout or 0.0)

    def _look(self, seconds: float) -> None:
        if self._code is not None:
            return
        if self._parent.is_lost:
            time.sleep(seconds)
        else:
            self._parent.listen(seconds)
        self._code = self._parent.exit_code(self.pid)
        if self._code is None and self._is_dead():
            now = time.monotonic()
            if self._dead_since is None:
                self._dead_since = now
            if self._parent.is_lost or now - self._dead_since > NOTICE_S:
                self._code = self._noted_code()

    def _is_dead(self) -> bool:
        state, born = _state(self.pid)
        return state in ("", "Z", "X") or born != self._born

    def _noted_code(self) -> int:
        """What its launcher noted, when its parent cannot tell; else as if it was killed."""
        record = read_json(self._folder / guidellm_launcher.RECORD)
        code = record.get("exit_code") if isinstance(record, dict) else None
        return int(code) if isinstance(code, int) else -signal.SIGKILL


def _state(pid: int) -> tuple[str, str]:
    """State and start time of a process; both empty when it is gone (proc(5))."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    # Fields after the name, which may contain spaces: state is 3, starttime 22.
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]
