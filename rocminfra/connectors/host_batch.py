"""Runs on the host: answers many read-only questions in one SSH exec.

The connector sends this file's text inside the command line, so it is a single file, standard
library only, and speaks every Python from 3.8 on. It imports little, because on a fast host that is
most of its time. It writes nothing on the host: outputs travel through pipes and leave, compressed,
on standard output.

What comes out: the line ``MAGIC + nonce``, then one zlib stream of frames. A frame is a
:data:`HEADER` (index, kind, exit status, milliseconds, length of stdout, length of stderr), the
two outputs, and at the end a frame of kind :data:`END`, without which the answer is not complete.

Every command is started as sshd starts it: the user's login shell with ``-c``, a session of its
own, nothing on standard input. A command that comes as a list of words is one that a login shell
would only start, so it is started without. The environment is the one that sshd gave this program,
read from /proc because Python changes its own (it sets LC_CTYPE when no locale is set).

A command that would start Python with one of our own programs is a pair of its words and of that
program, which then runs in a fork of this interpreter: most of such a program's time is Python's
start and its imports, and these are here already. That counts only when it ends with 0 and writes
nothing to standard error. Otherwise the command is started as it stands, as if nothing had been
(it only reads); so it is where ``python3`` is another Python than this one.
"""

from __future__ import annotations

import os
import pwd
import select
import signal
import struct
import sys
import time
import zlib

MAGIC = b"rocminfra-facts-1 "
HEADER = struct.Struct(">IBiIII")

ANSWERED, SLOW, TOO_LARGE, FAILED, END = range(5)

TYPE_CHECKING = False  # importing typing would take a host longer than all of this
if TYPE_CHECKING:
    from types import CodeType

    # A command as text for the login shell, or as words to start without one.
    Plain = str | list[str]
    # Path on the host (or "-c"), its text (or "": read there; no file means nothing to do), and
    # the arguments.
    Program = tuple[str, str, list[str]]

KILLED_BY_SIGNAL = -1  # what an SSH client sees as the exit status of such a command

# How often a command is looked at that has closed its outputs and not ended.
TICK_SECONDS = 0.02


def main(
    nonce: str,
    commands: list[Plain | tuple[list[str], Program]],
    imports: list[str],
    parallel: int,
    seconds: float,
    deadline: float,
    most_each: int,
    most_all: int,
) -> None:
    """Run the commands and write their outputs, in the order in which they end.

    + nonce: is written first, so that nothing else is taken for our output
    + commands: each text for the login shell, a list of words, or words and a program
    + imports: modules that programs among them need
    + parallel: how many run at once
    + seconds: time for each command
    + deadline: seconds for all of them
    + most_each, most_all: bytes of output of one command, and of all
    """
    run = _Run(nonce, imports, seconds, deadline, most_each, most_all)
    # Programs second: while this interpreter is busy importing for them, other commands run.
    waiting = list(enumerate(commands))
    first = [item for item in waiting if not isinstance(item[1], tuple)][: parallel // 2]
    waiting = first + sorted(
        (item for item in waiting if item not in first), key=lambda i: not isinstance(i[1], tuple)
    )
    waiting.reverse()
    while (waiting or run.running) and time.monotonic() < run.deadline:
        while waiting and len(run.running) < parallel:
            run.start(*waiting.pop())
        run.step()
    run.finish()


class _Command:
    """A command that runs."""

    def __init__(
        self, index: int, pid: int, outputs: tuple[int, int], otherwise: Plain | None
    ) -> None:
        self.index = index
        self.otherwise = otherwise  # to be started instead when this one fails
        self.pid = pid
        self.outputs = outputs
        self.parts: dict[int, list[bytes]] = {fd: [] for fd in outputs}
        self.open = set(outputs)
        self.size = 0
        self.started = time.monotonic()


class _Run:
    def __init__(
        self,
        nonce: str,
        imports: list[str],
        seconds: float,
        deadline: float,
        most_each: int,
        most_all: int,
    ) -> None:
        self.imports = imports
        self.codes: dict[tuple[str, str], CodeType | None] = {}
        self.seconds = seconds
        self.deadline = time.monotonic() + deadline
        self.most_each = most_each
        self.left = most_all
        self.running: dict[int, _Command] = {}
        self.by_output: dict[int, _Command] = {}
        self.poll = select.poll()
        # The client keeps our standard input open for as long as it wants answers.
        self.poll.register(0, select.POLLIN)
        self.zlib = zlib.compressobj(6)
        self.shell = pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
        self.environment = _environment()
        self.is_their_python = _is_python3(self.environment)
        self.write(MAGIC + nonce.encode("ascii") + b"\n")

    def start(self, index: int, command: Plain | tuple[list[str], Program]) -> None:
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        otherwise: Plain | None = None
        try:
            if isinstance(command, tuple):
                command, program = command
                pid = self.fork(program, out_end, err_end) if self.is_their_python else None
                otherwise = command if pid is not None else None
            else:
                pid = None
            if pid is None:
                pid = self.spawn(command, out_end, err_end)
        except (OSError, ValueError):
            os.close(out)
            os.close(err)
            self.frame(index, FAILED, 0, 0.0, b"", b"")
            return
        finally:
            os.close(out_end)
            os.close(err_end)
        command_ = _Command(index, pid, (out, err), otherwise)
        self.running[index] = command_
        for fd in (out, err):
            self.by_output[fd] = command_
            self.poll.register(fd, select.POLLIN)

    def spawn(self, command: Plain, out: int, err: int) -> int:
        program, words = self.shell, [os.path.basename(self.shell), "-c"]
        if isinstance(command, str):
            words.append(command)
        else:
            program, words = command[0], command
        return os.posix_spawnp(
            program,
            words,
            self.environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, out, 1),
                (os.POSIX_SPAWN_DUP2, err, 2),
            ],
            setsid=True,
            # Python ignores these, and programs are not to inherit that.
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )

    def fork(self, program: Program, out: int, err: int) -> int | None:
        """Process of the program, or None when only Python itself can say what is wrong with it."""
        path, source, arguments = program
        try:
            for name in self.imports:
                __import__(name)
            self.imports = []
            if (path, source) not in self.codes:
                self.codes[path, source] = _compiled(path, source)
        except (ImportError, OSError, ValueError, SyntaxError):
            return None
        pid = os.fork()
        if pid == 0:
            _become(path, self.codes[path, source], arguments, out, err)
        return pid

    def step(self) -> None:
        """Wait for something to happen, and take note of it."""
        for fd, _ in self.poll.poll(self.patience() * 1000):
            if fd == 0:
                if not os.read(0, 4096):
                    self.stop()
                continue
            command = self.by_output.get(fd)
            if command is not None:
                self.read(command, fd)
        now = time.monotonic()
        for command in list(self.running.values()):
            if not command.open and self.ended(command):
                continue
            if now >= min(command.started + self.seconds, self.deadline):
                self.give_up(command, SLOW)

    def patience(self) -> float:
        """Seconds until a command must be looked at although it says nothing."""
        if any(not command.open for command in self.running.values()):
            return TICK_SECONDS
        ends = [command.started + self.seconds for command in self.running.values()]
        return max(0.0, min([*ends, self.deadline]) - time.monotonic())

    def read(self, command: _Command, fd: int) -> None:
        data = os.read(fd, 65536)
        if not data:
            self.close(command, fd)
            return
        command.parts[fd].append(data)
        command.size += len(data)
        if command.size > min(self.most_each, self.left):
            self.give_up(command, TOO_LARGE)

    def ended(self, command: _Command) -> bool:
        pid, status = os.waitpid(command.pid, os.WNOHANG)
        if pid == 0:
            return False
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else KILLED_BY_SIGNAL
        out, err = (b"".join(command.parts[fd]) for fd in command.outputs)
        del self.running[command.index]
        if command.otherwise is not None and (code != 0 or err):
            self.start(command.index, command.otherwise)
            return True
        self.frame(command.index, ANSWERED, code, time.monotonic() - command.started, out, err)
        return True

    def give_up(self, command: _Command, kind: int) -> None:
        # Not waited for: one that became another user cannot be killed.
        _kill(command.pid)
        for fd in list(command.open):
            self.close(command, fd)
        del self.running[command.index]
        self.frame(command.index, kind, 0, time.monotonic() - command.started, b"", b"")

    def close(self, command: _Command, fd: int) -> None:
        self.poll.unregister(fd)
        del self.by_output[fd]
        command.open.discard(fd)
        os.close(fd)

    def frame(
        self, index: int, kind: int, status: int, seconds: float, out: bytes, err: bytes
    ) -> None:
        self.left -= len(out) + len(err)
        header = HEADER.pack(index, kind, status, int(seconds * 1000), len(out), len(err))
        self.write(self.zlib.compress(header + out + err) + self.zlib.flush(zlib.Z_SYNC_FLUSH))

    def write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(1, data) :]
        except OSError:
            self.stop()

    def finish(self) -> None:
        self.frame(0, END, 0, 0.0, b"", b"")
        self.stop()

    def stop(self) -> None:
        for command in self.running.values():
            _kill(command.pid)
        os._exit(0)


def _kill(pid: int) -> None:
    # Its session is its own, so this reaches its children too; a fork that has not come to that yet
    # has none, and has not been waited for, so that the number is its own. Both fail when it
    # became another user through sudo.
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
            return
        except ProcessLookupError:
            continue
        except OSError:
            return


def _compiled(path: str, source: str) -> CodeType | None:
    """A program's code; None when it is to be read from a file that is not there."""
    if source:
        return compile(source, path, "exec")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return compile(file.read(), path, "exec")


def _become(path: str, code: CodeType | None, arguments: list[str], out: int, err: int) -> None:
    """Be that program; for a fork, and it does not return."""
    status = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.closerange(3, 256)
        sys.argv = [path, *arguments]
        module = type(sys)("__main__")
        sys.modules["__main__"] = module
        if code is not None:
            exec(code, vars(module))
        status = 0
    except SystemExit as end:
        status = 0 if end.code is None or end.code == 0 else 1
    except BaseException:
        status = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _is_python3(environment: dict[bytes, bytes]) -> bool:
    """Whether ``python3`` would start the Python that runs this, and nobody says how."""
    if any(name.startswith(b"PYTHON") for name in environment):
        return False
    for folder in environment.get(b"PATH", b"").split(b":"):
        found = os.path.join(folder, b"python3")
        if os.access(found, os.X_OK):
            return os.path.realpath(found) == os.fsencode(os.path.realpath(sys.executable))
    return False


def _environment() -> dict[bytes, bytes]:
    with open("/proc/self/environ", "rb") as file:
        pairs = [item.partition(b"=") for item in file.read().split(b"\0") if b"=" in item]
    environment = {name: value for name, _, value in pairs}
    # Bash reads ~/.bashrc under sshd when it thinks that it is the outermost shell. It has done
    # so already, for the shell around this program, whose environment we hand on.
    environment[b"SHLVL"] = b"1"
    return environment
