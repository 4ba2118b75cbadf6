"""The host as a benchmark session sees it, and how a session goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True)
class Answer:
    """What a command on the host gave."""

    succeeded: bool
    stdout: str
    stderr: str


class Remote(Protocol):
    """The host; raises OSError when it cannot be reached any more."""

    def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
        """Run a shell command."""

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file of the host here."""


class FailedError(Exception):
    """A run could not be started, followed or brought back.

    + kind: ``locked`` by another benchmark, ``refused``, or ``lost`` on its way
    + what: what is wrong, one sentence
    + next_command: what to do now
    + why: evidence, a line each
    """

    def __init__(
        self,
        kind: Literal["locked", "refused", "lost"],
        what: str,
        next_command: str,
        why: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        self.what = what
        self.next_command = next_command
        self.why = tuple(why)
        super().__init__(what)
