"""Run many read-only commands on the host in one SSH exec.

The connector sends this file's text inside the command line. It imports little, because on a fast
host imports take most of its time. It writes nothing on the host: outputs travel through pipes and
leave, compressed, on standard output.

Output: the line ``MAGIC + nonce``, then one zlib stream of frames. A frame is a :data:`HEADER`
(index, kind, exit status, milliseconds, length of stdout, length of stderr) followed by the two
outputs. The last frame is of kind :data:`END`; without it the answer is incomplete.

Every command starts as sshd would start it: in the user's login shell with ``-c``, in its own
session, with empty standard input. A command given as a list of words starts without a login shell;
it may have a text on its standard input, which is in no command line and so in no log of sudo.
The environment is the one that sshd gave this program, read from /proc because Python changes its
own (it sets LC_CTYPE when no locale is set).

Standard library only: this file is sent to the host as it is.
"""

from __future__ import annotations

import os
import pwd
import select
import signal
import struct
import time
import zlib

MAGIC = b"rocminfra-facts-1 "
HEADER = struct.Struct(">IBiIII")

ANSWERED, SLOW, TOO_LARGE, FAILED, END = range(5)

TYPE_CHECKING = False  # importing typing would take longer than everything else here
if TYPE_CHECKING:
    # Text for the login shell, or words of a command that starts without one.
    Command = str | list[str]

# These end this program and everything it started. SIGKILL cannot be handled.
ENDING = (signal.SIGTERM, signal.SIGHUP)
KILLED_BY_SIGNAL = -1  # the exit status an SSH client sees for such a command

# How often to check a process that has closed its outputs but not ended: soon at first, because
# most close them by ending, then less and less often.
FIRST_TICK_SECONDS = 0.001
TICK_SECONDS = 0.02


def main(
    nonce: str,
    commands: list[Command],
    parallel: int,
    seconds: float,
    deadline: float,
    most_each: int,
    most_all: int,
    inputs: dict[int, str],
) -> None:
    """Run the commands and write their outputs, in the order in which they end.

    + nonce: written first, so that other output is not mistaken for the answer
    + commands: each one text for the login shell, or a list of words
    + parallel: number of commands that run at the same time
    + seconds: time limit for each command
    + deadline: time limit for all of them, in seconds
    + most_each, most_all: limits of output in bytes, per command and in total
    + inputs: what commands read, by their index
    """
    run = _Run(nonce, commands, seconds, deadline, most_each, most_all, inputs)
    for number in ENDING:
        signal.signal(number, lambda _number, _frame: run.stop())
    waiting = list(range(len(commands)))
    waiting.reverse()
    try:
        while (waiting or run.running) and time.monotonic() < run.deadline:
            while waiting and len(run.running) < parallel:
                run.start(waiting.pop())
            if run.running:
                run.step()
        run.frame(0, END, 0, 0.0, b"", b"")
    except Exception as error:
        os.write(2, ascii(error).encode("ascii"))
    finally:
        run.stop()


class _Process:
    """A running command."""

    def __init__(self, index: int, pid: int, outputs: tuple[int, int]) -> None:
        self.index = index
        self.pid = pid
        self.outputs = outputs
        self.parts: dict[int, list[bytes]] = {fd: [] for fd in outputs}
        self.open = set(outputs)
        self.size = 0
        self.started = self.closed = time.monotonic()


class _Run:
    def __init__(
        self,
        nonce: str,
        commands: list[Command],
        seconds: float,
        deadline: float,
        most_each: int,
        most_all: int,
        inputs: dict[int, str],
    ) -> None:
        self.commands = commands
        self.inputs = inputs
        self.seconds = seconds
        self.deadline = time.monotonic() + deadline
        self.most_each = most_each
        self.left = most_all
        self.running: list[_Process] = []
        self.by_output: dict[int, _Process] = {}
        self.poll = select.poll()
        # The client keeps standard input open for as long as it wants answers.
        self.poll.register(0, select.POLLIN)
        self.zlib = zlib.compressobj(6)
        self.shell = pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
        self.environment = _environment()
        self.write(MAGIC + nonce.encode("ascii") + b"\n")

    def start(self, index: int) -> None:
        """Start a command, or report that it cannot start."""
        pipes: list[int] = []
        try:
            pipes += os.pipe()
            pipes += os.pipe()
            out, out_end, err, err_end = pipes
            pid = self.spawn(self.commands[index], out_end, err_end, self.inputs.get(index))
        except (OSError, ValueError):
            for fd in pipes:
                os.close(fd)
            self.frame(index, FAILED, 0, 0.0, b"", b"")
            return
        os.close(out_end)
        os.close(err_end)
        process = _Process(index, pid, (out, err))
        self.running.append(process)
        for fd in (out, err):
            self.by_output[fd] = process
            self.poll.register(fd, select.POLLIN)

    def spawn(self, command: Command, out: int, err: int, given: str | None) -> int:
        program, words = self.shell, [os.path.basename(self.shell), "-c"]
        if isinstance(command, str):
            words.append(command)
        else:
            program, words = command[0], command
        # A file in memory: nothing is written on the host, and no pipe can be full.
        file = -1 if given is None else _file_of(given.encode("utf-8", "surrogateescape"))
        empty = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        try:
            return os.posix_spawnp(
                program,
                [word.encode("utf-8", "surrogateescape") for word in words],  # as SSH sends them
                self.environment,
                file_actions=[
                    empty if file < 0 else (os.POSIX_SPAWN_DUP2, file, 0),
                    (os.POSIX_SPAWN_DUP2, out, 1),
                    (os.POSIX_SPAWN_DUP2, err, 2),
                ],
                setsid=True,
                # Python ignores these signals; the programs must not inherit that.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
            )
        finally:
            if file >= 0:
                os.close(file)

    def step(self) -> None:
        """Wait for an event, then handle it."""
        for fd, _ in self.poll.poll(self.patience() * 1000):
            if fd == 0:
                if not os.read(0, 4096):
                    self.stop()
                continue
            process = self.by_output.get(fd)
            if process is not None:
                self.read(process, fd)
        now = time.monotonic()
        for process in list(self.running):
            if not process.open and self.ended(process):
                continue
            if now >= self.end_of(process):
                self.give_up(process, SLOW)

    def patience(self) -> float:
        """Seconds until a process must be checked even if it writes nothing."""
        closed = [process.closed for process in self.running if not process.open]
        if closed:
            return max(FIRST_TICK_SECONDS, min(time.monotonic() - max(closed), TICK_SECONDS))
        ends = [self.end_of(process) for process in self.running]
        return max(0.0, min(ends) - time.monotonic())

    def end_of(self, process: _Process) -> float:
        """When a process times out."""
        return min(process.started + self.seconds, self.deadline)

    def read(self, process: _Process, fd: int) -> None:
        data = os.read(fd, 65536)
        if not data:
            self.close(process, fd)
            return
        process.parts[fd].append(data)
        process.size += len(data)
        if process.size > min(self.most_each, self.left):
            self.give_up(process, TOO_LARGE)

    def ended(self, process: _Process) -> bool:
        pid, status = os.waitpid(process.pid, os.WNOHANG)
        if pid == 0:
            return False
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else KILLED_BY_SIGNAL
        out, err = (b"".join(process.parts[fd]) for fd in process.outputs)
        self.running.remove(process)
        seconds = time.monotonic() - process.started
        self.frame(process.index, ANSWERED, code, seconds, out, err)
        return True

    def give_up(self, process: _Process, kind: int) -> None:
        # Do not wait for it: a process that switched to another user cannot be killed.
        _kill(process.pid)
        for fd in list(process.open):
            self.close(process, fd)
        self.running.remove(process)
        self.frame(process.index, kind, 0, time.monotonic() - process.started, b"", b"")

    def close(self, process: _Process, fd: int) -> None:
        self.poll.unregister(fd)
        del self.by_output[fd]
        process.open.discard(fd)
        process.closed = time.monotonic()
        os.close(fd)

    def frame(
        self, index: int, kind: int, status: int, seconds: float, out: bytes, err: bytes
    ) -> None:
        if len(out) + len(err) > max(
            0, self.left
        ):  # other commands have used up the limit meanwhile
            kind, status, out, err = TOO_LARGE, 0, b"", b""
        self.left -= len(out) + len(err)
        header = HEADER.pack(index, kind, status, int(seconds * 1000), len(out), len(err))
        self.write(self.zlib.compress(header + out + err) + self.zlib.flush(zlib.Z_SYNC_FLUSH))

    def write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(1, data) :]
        except OSError:
            self.stop()

    def stop(self) -> None:
        for process in self.running:
            _kill(process.pid)
        os._exit(0)


def _file_of(data: bytes) -> int:
    """Descriptor of a file in memory that holds ``data``, at its beginning."""
    file = os.memfd_create("rocminfra")
    while data:
        data = data[os.write(file, data) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _kill(pid: int) -> None:
    """Kill a command and its children, which share its session.

    A command that switched to another user with sudo cannot be killed.
    """
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        return


def _environment() -> dict[bytes, bytes]:
    with open("/proc/self/environ", "rb") as file:
        pairs = [item.partition(b"=") for item in file.read().split(b"\0") if b"=" in item]
    environment = {name: value for name, _, value in pairs}
    # Bash under sshd reads ~/.bashrc when it is the outermost shell. The shell around this program
    # has already done that, and its environment is passed on.
    environment[b"SHLVL"] = b"1"
    return environment
