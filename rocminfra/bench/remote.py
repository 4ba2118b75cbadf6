"""The host as a benchmark session sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
