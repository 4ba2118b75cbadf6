"""A batch: many commands sent to a host in one exec, with answers read as they arrive."""

from __future__ import annotations

import base64
import functools
import secrets
import shlex
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import gevent
from gevent.event import Event
from paramiko import Channel, SSHException, Transport
from pyinfra import logger

from rocminfra.connectors.answers import Answer, AnswerStream, BrokenStreamError
from rocminfra.host.programs import source

# A command line for sudo that runs what it is given on standard input, with an empty one itself.
BY_INPUT = 'exec sh -c "$(cat)" </dev/null'
# Bytes of a command that may stand in sudo's log; only those with programs are longer.
MOST_LOGGED = 1024


@dataclass(frozen=True)
class Limits:
    """Limits of one batch.

    + parallel: commands that run on the host at the same time
    + fact_seconds: time limit for each command; a slower one is read live
    + batch_seconds: time limit for the whole batch, on the host and here
    + most_each: bytes of output per command; a command that writes more is read live
    + most_all: bytes of output of all commands; bounds the memory per host
    + most_text: bytes of a batch's command line; Linux allows 128 KiB for a single argument
      (MAX_ARG_STRLEN), and the login shell's ``-c`` is one
    + fresh_seconds: age after which an answer is no longer used
    """

    parallel: int = 8
    fact_seconds: float = 10.0
    batch_seconds: float = 20.0
    most_each: int = 2 * 1024 * 1024
    most_all: int = 8 * 1024 * 1024
    most_text: int = 96 * 1024
    fresh_seconds: float = 30.0


class Batch:
    """Commands running on a host.

    + transport: the SSH connection, on which the batch opens one channel
    + commands: text for the user's login shell
    + name: the host's name, for debug messages
    """

    def __init__(
        self, transport: Transport, commands: Sequence[str], name: str, limits: Limits
    ) -> None:
        self._transport = transport
        self._commands = list(dict.fromkeys(commands))
        self._name = name
        self._limits = limits
        self._channel: Channel | None = None
        self._answers: dict[str, Answer] = {}
        self._waiting = {command: Event() for command in self._commands}
        self._cancelled = False
        self.started = time.monotonic()
        self.error = ""
        self._reader = gevent.spawn(self._run)

    def answer(self, command: str) -> Answer | None:
        """Wait for the answer to ``command``; None when it has none or it is too old."""
        event = self._waiting.get(command)
        if event is None:
            return None
        left = self.started + self._limits.batch_seconds + 5.0 - time.monotonic()
        event.wait(max(0.0, left))
        found = self._answers.get(command)
        return None if self.old else found

    def knows(self, command: str) -> bool:
        """Whether this batch contains ``command``, answered or not."""
        return command in self._waiting

    @property
    def old(self) -> bool:
        """Whether the answers are too old to use."""
        return time.monotonic() - self.started > self._limits.fresh_seconds

    def cancel(self) -> None:
        """Drop every answer and stop the commands that still run on the host."""
        self._cancelled = True
        self._answers.clear()
        self._end()

    def _run(self) -> None:
        try:
            with gevent.Timeout(
                self._limits.batch_seconds + 5.0, TimeoutError("the batch timed out")
            ):
                self._exchange()
        except (SSHException, OSError, EOFError, TimeoutError, BrokenStreamError) as error:
            self.error = str(error) or type(error).__name__
            logger.debug("[%s] Facts are read one by one: %s", self._name, self.error)
            # Answers that arrived before the stream broke are complete, so they stay. If the login
            # shell printed something first, there are none.
        finally:
            self._end()

    def _exchange(self) -> None:
        nonce = secrets.token_hex(8)
        limits = self._limits
        channel = self._transport.open_session(timeout=limits.batch_seconds)
        self._channel = channel
        # A second limit: gevent's own does not work when it has not patched the sockets.
        channel.settimeout(limits.batch_seconds + 5.0)
        if self._cancelled:
            return
        channel.exec_command(command_line(self._commands, nonce, limits))
        stream = AnswerStream(nonce, limits.most_all + 1024 * (len(self._commands) + 1))
        while not stream.complete:
            data = channel.recv(65536)
            if not data:
                said = channel.recv_stderr(200) if channel.recv_stderr_ready() else b""
                raise BrokenStreamError(f"the host ended early and printed {said!r}")
            for index, answer in stream.feed(data).items():
                self._take(index, answer)

    def _take(self, index: int, answer: Answer | None) -> None:
        if self._cancelled or not 0 <= index < len(self._commands):
            return
        command = self._commands[index]
        if answer is not None:
            self._answers[command] = answer
        self._waiting[command].set()

    def _end(self) -> None:
        if self._channel is not None:
            with suppress(SSHException, EOFError, OSError):  # of a connection that is lost
                self._channel.close()
        for event in self._waiting.values():
            event.set()


def command_line(commands: Sequence[str], nonce: str, limits: Limits) -> str:
    """The command line for the host's login shell: the program and its request.

    It is a single ``sh -c`` that every login shell quotes the same way. The system's Python comes
    first, because a wrapper (pyenv's shim) would change the commands' environment.
    """
    return (
        "sh -c '_rocminfra=/usr/bin/python3; [ -x $_rocminfra ] || _rocminfra=python3; "
        f'exec $_rocminfra -I -S -c "{_START}" {_packed(tuple(commands), limits)} {nonce}\''
    )


@functools.lru_cache(maxsize=8)
def _packed(commands: tuple[str, ...], limits: Limits) -> str:
    """Program and request as one word, which most hosts of a deploy share."""
    words: list[list[str] | str] = []
    inputs: dict[int, str] = {}
    for command in commands:
        told = direct(command)
        text = None if told is None else text_of(told)
        if told is not None and text is not None:
            told, inputs[len(words)] = [*told[:-1], BY_INPUT], text
        words.append(told or command)
    request = (
        words,
        limits.parallel,
        limits.fact_seconds,
        limits.batch_seconds,
        limits.most_each,
        limits.most_all,
        inputs,
    )
    # Only strings and numbers, so repr() is valid Python source and the host needs no parser.
    text = f"{_PROGRAM}\nmain(sys.argv[2], *{request!r})\n"
    return base64.b64encode(zlib.compress(text.encode("utf-8"))).decode("ascii")


def text_of(words: Sequence[str]) -> str | None:
    """The shell text of a command through sudo that is to go there on its input; None for others.

    sudo writes every command line into the host's journal, and ours carry whole programs.
    """
    is_shell = len(words) > 3 and words[0] == "sudo" and tuple(words[-3:-1]) == ("sh", "-c")
    return words[-1] if is_shell and len(words[-1]) > MOST_LOGGED else None


def direct(command: str) -> list[str] | None:
    """The words of a command that needs no login shell, or None.

    pyinfra's commands are a program and quoted words (``sh -c '…'``, ``sudo -H -n sh -c '…'``).
    When quoting the words again gives the same text, every shell reads it the same way, so the host
    can skip the shell. That saves a millisecond of CPU per fact.
    """
    if command.startswith("sh -c '") and command.endswith("'"):
        # Covers most commands; shlex works character by character and would be slow here.
        script = command[7:-1].replace("'\"'\"'", "'")
        if f"sh -c {shlex.quote(script)}" == command:
            return ["sh", "-c", script]
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if not words or words[0] not in _PROGRAMS:
        return None
    return words if shlex.join(words) == command else None


# First words of pyinfra's commands; none of them is a shell builtin.
_PROGRAMS = frozenset({"sh", "bash", "dash", "sudo", "doas", "su"})

_START = "import binascii,sys,zlib;exec(zlib.decompress(binascii.a2b_base64(sys.argv[1])))"
_PROGRAM = source("fact_batch")
