"""Runs on the host: answers many read-only questions in one SSH exec.

The connector sends this file's text inside the command line, so it is a single file, standard
library only, and speaks every Python from 3.7 on. It writes nothing on the host: outputs travel
through pipes and leave, compressed, on standard output.

What comes out: the line ``MAGIC + nonce``, then one zlib stream of frames. A frame is a
:data:`HEADER` (index, kind, exit status, milliseconds, length of stdout, length of stderr), the
two outputs, and at the end a frame of kind :data:`END`, without which the answer is not complete.

Every command is started as sshd starts it: the user's login shell with ``-c``, a session of its
own, nothing on standard input. A command that comes as a list of words is one that a login shell
would only start, so it is started without. The environment is the one that sshd gave this program,
read from /proc because Python changes its own (it sets LC_CTYPE when no locale is set).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import selectors
import signal
import struct
import subprocess
import threading
import time
import zlib
from typing import Any

MAGIC = b"rocminfra-facts-1 "
HEADER = struct.Struct(">IBiIII")

ANSWERED, SLOW, TOO_LARGE, FAILED, END = range(5)

KILLED_BY_SIGNAL = -1  # what an SSH client sees as the exit status of such a command


def main(request: dict[str, Any]) -> None:
    """Run the commands and write their outputs, in the order in which they end.

    + request: ``nonce``, ``commands`` (each text or a list of words), ``parallel`` (how many at
      once), ``seconds`` (for each command), ``deadline`` (seconds for all), ``most_each`` and
      ``most_all`` (bytes of output)
    """
    run = _Run(request)
    threading.Thread(target=run.end_when_client_leaves, daemon=True).start()
    workers = [
        threading.Thread(target=run.work, daemon=True)
        for _ in range(min(request["parallel"], len(request["commands"])))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(0.0, run.deadline - time.monotonic()))
    run.finish()


class _Run:
    def __init__(self, request: dict[str, Any]) -> None:
        self.commands: list[str | list[str]] = request["commands"]
        self.seconds: float = request["seconds"]
        self.most_each: int = request["most_each"]
        self.left: int = request["most_all"]
        self.deadline: float = time.monotonic() + request["deadline"]
        self.next = 0
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self.lock = threading.RLock()
        self.zlib = zlib.compressobj(6)
        self.shell = pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
        self.environment = _environment()
        self._write(MAGIC + request["nonce"].encode("ascii") + b"\n")

    def work(self) -> None:
        while True:
            with self.lock:
                index = self.next
                self.next += 1
            if index >= len(self.commands) or time.monotonic() >= self.deadline:
                return
            started = time.monotonic()
            try:
                kind, status, out, err = self._answer(index, started)
            except (OSError, ValueError):
                kind, status, out, err = FAILED, 0, b"", b""
            self._frame(index, kind, status, time.monotonic() - started, out, err)

    def _answer(self, index: int, started: float) -> tuple[int, int, bytes, bytes]:
        command = self.commands[index]
        shell = self.shell if isinstance(command, str) else None
        if isinstance(command, str):
            command = [os.path.basename(self.shell), "-c", command]
        process = subprocess.Popen(
            command,
            executable=shell,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            start_new_session=True,
        )
        with process, self._listed(index, process):
            answer = self._read(process, min(started + self.seconds, self.deadline))
            if answer is None:
                _kill(process)
                # Not waited for: one that became another user cannot be killed.
                process.returncode = KILLED_BY_SIGNAL
                return SLOW, 0, b"", b""
            if len(answer[0]) + len(answer[1]) > self._most():
                _kill(process)
                process.returncode = KILLED_BY_SIGNAL
                return TOO_LARGE, 0, b"", b""
            status = process.returncode
            return ANSWERED, KILLED_BY_SIGNAL if status < 0 else status, answer[0], answer[1]

    def _read(self, process: subprocess.Popen[bytes], deadline: float) -> list[bytes] | None:
        """Both outputs, and the process waited for; None when it is not done in time."""
        pipes = (process.stdout, process.stderr)
        outputs: list[list[bytes]] = [[], []]
        size = 0
        with selectors.DefaultSelector() as selector:
            for number, pipe in enumerate(pipes):
                if pipe is not None:
                    selector.register(pipe, selectors.EVENT_READ, outputs[number])
            while selector.get_map() and size <= self._most():
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                for key, _ in selector.select(left):
                    data = os.read(key.fd, 65536)
                    if not data:
                        selector.unregister(key.fileobj)
                    size += len(data)
                    key.data.append(data)
        if size <= self._most():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return None
        return [b"".join(parts) for parts in outputs]

    def _most(self) -> int:
        return min(self.most_each, self.left)

    @contextlib.contextmanager
    def _listed(self, index: int, process: subprocess.Popen[bytes]) -> Any:
        with self.lock:
            self.running[index] = process
        try:
            yield
        finally:
            with self.lock:
                del self.running[index]

    def _frame(
        self, index: int, kind: int, status: int, seconds: float, out: bytes, err: bytes
    ) -> None:
        header = HEADER.pack(index, kind, status, int(seconds * 1000), len(out), len(err))
        with self.lock:
            self.left -= len(out) + len(err)
            frame = self.zlib.compress(header + out + err) + self.zlib.flush(zlib.Z_SYNC_FLUSH)
            self._write(frame)

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(1, data) :]
        except OSError:
            self.stop()

    def finish(self) -> None:
        self._frame(0, END, 0, 0.0, b"", b"")
        self.stop()

    def end_when_client_leaves(self) -> None:
        # The client keeps our standard input open for as long as it wants answers.
        while os.read(0, 4096):
            pass
        self.stop()

    def stop(self) -> None:
        for process in list(self.running.values()):
            _kill(process)
        os._exit(0)


def _kill(process: subprocess.Popen[bytes]) -> None:
    # Its session is its own, so this reaches its children too. It fails when it is gone already,
    # and when it became another user through sudo.
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment() -> dict[bytes, bytes]:
    with open("/proc/self/environ", "rb") as file:
        pairs = [item.partition(b"=") for item in file.read().split(b"\0") if b"=" in item]
    environment = {name: value for name, _, value in pairs}
    # Bash reads ~/.bashrc under sshd when it thinks that it is the outermost shell. It has done
    # so already, for the shell around this program, whose environment we hand on.
    environment[b"SHLVL"] = b"1"
    return environment
