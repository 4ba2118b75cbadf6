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

A command that would start Python with one of our own programs runs in a fork of this interpreter:
most of such a program's time is Python's start and its imports, and these are here already. That
counts only when it ends with 0 and writes nothing to standard error. Otherwise the command is
started as it stands, as if nothing had been (it only reads); so it is where ``python3`` is another
Python than this one. Programs that answer at once share a fork, which hands on each answer when it
is there; one that fails there, or comes after one that takes long, is started as it stands.
"""

from __future__ import annotations

import gc
import io
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
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    # A command as text for the login shell, or as words to start without one.
    Plain = str | list[str]
    # Number of the command, path on the host (or "-c"), text (or "": read there; no file means
    # nothing to do), and arguments.
    Program = tuple[int, str, str, list[str]]
    Question = tuple[str, CodeType | None, list[str]]

# What ends this program, and all that it started with it. Nothing can be done about SIGKILL.
ENDING = (signal.SIGTERM, signal.SIGHUP)
KILLED_BY_SIGNAL = -1  # what an SSH client sees as the exit status of such a command

_IS_UTF8 = sys.getfilesystemencoding() == "utf-8"

# How often a process is looked at that has closed its outputs and not ended: soon, for it closes
# them when it ends, and then less and less often.
FIRST_TICK_SECONDS = 0.001
TICK_SECONDS = 0.02

# Time for commands that share a fork. It writes this before each answer: a mark that is the fork's
# own, so that nothing else is taken for an answer, and the length.
SHARED_SECONDS = 2.0
ANSWER = struct.Struct(">8sI")
NO_ANSWER = 0xFFFFFFFF


def main(
    nonce: str,
    commands: list[Plain],
    programs: list[list[Program]],
    imports: list[str],
    parallel: int,
    seconds: float,
    deadline: float,
    most_each: int,
    most_all: int,
) -> None:
    """Run the commands and write their outputs, in the order in which they end.

    + nonce: is written first, so that nothing else is taken for our output
    + commands: each text for the login shell, or a list of words
    + programs: which of the commands are programs of ours; those of one list share a fork
    + imports: modules that these need
    + parallel: how many run at once
    + seconds: time for each command
    + deadline: seconds for all of them
    + most_each, most_all: bytes of output of one command, and of all
    """
    gc.disable()  # there is nothing to collect, and every fork would do it again
    run = _Run(nonce, commands, imports, seconds, deadline, most_each, most_all)
    for number in ENDING:
        signal.signal(number, lambda _number, _frame: run.stop())
    of_programs = {program[0] for together in programs for program in together}
    others = [index for index in range(len(commands)) if index not in of_programs]
    # Programs second: while this interpreter is busy importing for them, other commands run.
    run.waiting = [*others[: parallel // 2], *programs, *others[parallel // 2 :]]
    run.waiting.reverse()
    try:
        while (run.waiting or run.running) and time.monotonic() < run.deadline:
            while run.waiting and len(run.running) < parallel:
                run.start(run.waiting.pop())
            if run.running:
                run.step()
        run.frame(0, END, 0, 0.0, b"", b"")
    except Exception as error:
        os.write(2, ascii(error).encode("ascii"))
    finally:
        run.stop()


class _Process:
    """A process that answers a command, or several that share it."""

    def __init__(
        self, members: list[int], is_fork: bool, pid: int, outputs: tuple[int, int], mark: bytes
    ) -> None:
        self.members = members  # those that are not answered yet
        self.is_shared = len(members) > 1
        self.mark = mark  # before each answer, when it is shared
        self.is_fork = is_fork  # and the commands can be started as they stand instead
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
        commands: list[Plain],
        imports: list[str],
        seconds: float,
        deadline: float,
        most_each: int,
        most_all: int,
    ) -> None:
        self.commands = commands
        self.imports = imports
        self.seconds = seconds
        self.deadline = time.monotonic() + deadline
        self.most_each = most_each
        self.left = most_all
        self.waiting: list[int | list[Program]] = []
        self.running: list[_Process] = []
        self.by_output: dict[int, _Process] = {}
        self.poll = select.poll()
        # The client keeps our standard input open for as long as it wants answers.
        self.poll.register(0, select.POLLIN)
        self.zlib = zlib.compressobj(6)
        self.shell = pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
        self.environment = _environment()
        self.is_their_python = _is_python3(self.environment)
        self.write(MAGIC + nonce.encode("ascii") + b"\n")

    def start(self, item: int | list[Program]) -> None:
        """Start a command as it stands, or those that are one program in a fork."""
        members, fork = [], None
        if isinstance(item, int):
            members = [item]
        else:
            members = [program[0] for program in item]
            fork = self.prepared(item) if self.is_their_python else None
            if fork is None:
                self.waiting += reversed(members)
                return
        pipes: list[int] = []
        mark = os.urandom(8)
        try:
            pipes += os.pipe()
            pipes += os.pipe()
            out, out_end, err, err_end = pipes
            if fork is None:
                pid = self.spawn(self.commands[members[0]], out_end, err_end)
            else:
                pid = os.fork()
                if pid == 0:
                    fork(out_end, err_end, mark)
        except (OSError, ValueError):
            for fd in pipes:
                os.close(fd)
            for index in members:
                self.frame(index, FAILED, 0, 0.0, b"", b"")
            return
        os.close(out_end)
        os.close(err_end)
        process = _Process(members, fork is not None, pid, (out, err), mark)
        self.running.append(process)
        for fd in (out, err):
            os.set_blocking(fd, False)
            self.by_output[fd] = process
            self.poll.register(fd, select.POLLIN)

    def spawn(self, command: Plain, out: int, err: int) -> int:
        program, words = self.shell, [os.path.basename(self.shell), "-c"]
        if isinstance(command, str):
            words.append(command)
        else:
            program, words = command[0], command
        return os.posix_spawnp(
            program,
            [word.encode("utf-8", "surrogateescape") for word in words],  # as SSH sends them
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

    def prepared(self, programs: list[Program]) -> Callable[[int, int, bytes], None] | None:
        """What a fork has to do, or None when only Python itself can say what is wrong with it."""
        codes: dict[tuple[str, str], CodeType | None] = {}
        questions: list[Question] = []
        try:
            for name in self.imports:
                __import__(name)
            self.imports = []
            for _, path, source, arguments in programs:
                if not (_IS_UTF8 or all(argument.isascii() for argument in arguments)):
                    return None
                if (path, source) not in codes:
                    codes[path, source] = _compiled(path, source)
                questions.append((path, codes[path, source], arguments))
        except (ImportError, OSError, ValueError, SyntaxError):
            return None
        return lambda out, err, mark: _become(questions, out, err, mark)

    def step(self) -> None:
        """Wait for something to happen, and take note of it."""
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
        """Seconds until a process must be looked at although it says nothing."""
        closed = [process.closed for process in self.running if not process.open]
        if closed:
            return max(FIRST_TICK_SECONDS, min(time.monotonic() - max(closed), TICK_SECONDS))
        ends = [self.end_of(process) for process in self.running]
        return max(0.0, min([*ends, self.deadline]) - time.monotonic())

    def end_of(self, process: _Process) -> float:
        """When a process has had its time."""
        seconds = min(self.seconds, SHARED_SECONDS) if process.is_shared else self.seconds
        return min(process.started + seconds, self.deadline)

    def read(self, process: _Process, fd: int) -> None:
        self.pull(process, fd)
        if process.is_shared:
            # A complaint was there before the answer after it, but may not have been read yet.
            if process.outputs[1] in process.open:
                self.pull(process, process.outputs[1])
            self.take(process)
        if process.size > min(self.most_each, self.left):
            self.give_up(process, TOO_LARGE)

    def pull(self, process: _Process, fd: int) -> None:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        if not data:
            self.close(process, fd)
            return
        process.parts[fd].append(data)
        process.size += len(data)

    def take(self, process: _Process) -> None:
        """Hand on the answers of a shared fork that are there, unless something was said beside."""
        out, err = process.outputs
        data = b"".join(process.parts[out])
        while process.members and len(data) >= ANSWER.size and not process.parts[err]:
            mark, length = ANSWER.unpack_from(data)
            answer = b"" if length == NO_ANSWER else data[ANSWER.size : ANSWER.size + length]
            if mark != process.mark or len(answer) < length != NO_ANSWER:
                break
            index = process.members.pop(0)
            if length == NO_ANSWER:
                self.waiting.append(index)
            else:
                self.frame(index, ANSWERED, 0, time.monotonic() - process.started, answer, b"")
            data = data[ANSWER.size + len(answer) :]
        process.parts[out] = [data]

    def ended(self, process: _Process) -> bool:
        pid, status = os.waitpid(process.pid, os.WNOHANG)
        if pid == 0:
            return False
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else KILLED_BY_SIGNAL
        out, err = (b"".join(process.parts[fd]) for fd in process.outputs)
        self.running.remove(process)
        if process.is_shared or (process.is_fork and (code != 0 or err)):
            self.waiting += reversed(process.members)
            return True
        seconds = time.monotonic() - process.started
        self.frame(process.members[0], ANSWERED, code, seconds, out, err)
        return True

    def give_up(self, process: _Process, kind: int) -> None:
        # Not waited for: one that became another user cannot be killed.
        _kill(process.pid)
        for fd in list(process.open):
            self.close(process, fd)
        self.running.remove(process)
        if process.is_shared:
            self.waiting += reversed(process.members)
            return
        seconds = time.monotonic() - process.started
        self.frame(process.members[0], kind, 0, seconds, b"", b"")

    def close(self, process: _Process, fd: int) -> None:
        self.poll.unregister(fd)
        del self.by_output[fd]
        process.open.discard(fd)
        process.closed = time.monotonic()
        os.close(fd)

    def frame(
        self, index: int, kind: int, status: int, seconds: float, out: bytes, err: bytes
    ) -> None:
        if len(out) + len(err) > max(0, self.left):  # others have taken it meanwhile
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


def _become(questions: list[Question], out: int, err: int, mark: bytes) -> None:
    """Be the program, or one after the other; for a fork, and it does not return."""
    status = 1
    try:
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.closerange(3, 256)
        if len(questions) == 1:
            _answer(*questions[0])
        else:
            for question in questions:
                answer = _caught(question)
                length = NO_ANSWER if answer is None else len(answer)
                os.write(1, ANSWER.pack(mark, length))
                sys.stdout.buffer.write(answer or b"")
                sys.stdout.buffer.flush()
        status = 0
    except BaseException:
        status = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _answer(path: str, code: CodeType | None, arguments: list[str]) -> None:
    """Run the program; an exception when it fails."""
    sys.argv = [path, *arguments]
    module = type(sys)("__main__")
    sys.modules["__main__"] = module
    try:
        if code is not None:
            exec(code, vars(module))
    except SystemExit as end:
        if end.code is not None and end.code != 0:
            raise


def _caught(question: Question) -> bytes | None:
    """What a program writes to standard output; None when it fails or complains."""
    real = sys.stdout, sys.stderr
    out, err = (
        io.TextIOWrapper(io.BytesIO(), encoding=stream.encoding, errors=stream.errors)
        for stream in real
    )
    _speak_to(out, err)
    try:
        _answer(*question)
        out.flush()
        err.flush()
        return None if err.buffer.getvalue() else out.buffer.getvalue()
    except BaseException:
        return None
    finally:
        _speak_to(*real)


def _speak_to(out: Any, err: Any) -> None:
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = out, err  # type: ignore[misc]


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
