"""The host as a benchmark session sees it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Answer:
    """What a command on the host gave."""

    succeeded: bool
    stdout: str
    stderr: str


class CommandFailedError(OSError):
    """A command whose output was read failed on the host; its connection is well."""


class Readable(Protocol):
    """Bytes that come in; a read of nothing is the end."""

    def read(self, size: int, /) -> bytes: ...


class Remote(Protocol):
    """The host; raises OSError when it cannot be reached any more."""

    def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
        """Run a shell command."""

    def stream(self, command: str, stdin: str, size: int) -> AbstractContextManager[Readable]:
        """Run a shell command and read what it prints, as it comes.

        + size: bytes that are expected

        Reading raises :class:`CommandFailedError` when the command fails, another OSError or
        EOFError when the connection does.
        """
