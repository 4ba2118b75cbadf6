"""pyinfra's log during a run: errors are kept by host, the rest is passed on or dropped.

pyinfra logs what failed and then raises "No hosts remaining!". The log is where the reason is, so
it is collected here and shown once, with the failure it belongs to.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable

_HOST_PREFIX = re.compile(r"^\[(?P<host>[^\]]+)\](?P<text>.*)$", re.DOTALL)
# What pyinfra says of every operation and every host; the runner says it in its own way.
_STATUS = re.compile(r"^(Connected|Success|No changes|Skipped)\b")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class HostLog(logging.Handler):
    """Collects pyinfra's errors by host.

    + show: called with every other line that is worth showing
    + verbosity: 0 shows warnings and what operations tell of a host, 1 everything that pyinfra
      says, 2 its debug log as well
    """

    def __init__(self, show: Callable[[str], None], verbosity: int) -> None:
        super().__init__()
        self.show = show
        self.verbosity = verbosity
        self._errors: dict[str, list[str]] = {}
        self._longest = 0

    def align(self, names: Iterable[str]) -> None:
        """Take off the spaces with which pyinfra lines hosts up: only some of them speak here.

        + names: every host of the inventory
        """
        self._longest = max((len(name) for name in names), default=0)

    def emit(self, record: logging.LogRecord) -> None:
        message = _ANSI.sub("", record.getMessage())
        match = _HOST_PREFIX.match(message)
        if match is None:
            if record.levelno >= logging.WARNING or self.verbosity > 0:
                self.show(message)
            return
        host, text = match["host"], self._text(match["host"], match["text"])
        if record.levelno >= logging.ERROR:
            self._errors.setdefault(host, []).append(text.strip())
            if self.verbosity == 0:
                return
        if self.verbosity > 0 or not _STATUS.match(text):
            self.show(f"[{host}] {text}")

    def _text(self, host: str, rest: str) -> str:
        rest = rest.removeprefix(" nested")
        padding = " " * (max(self._longest - len(host), 0) + 1)
        return rest.removeprefix(padding) if rest.startswith(padding) else rest.lstrip(" ")

    def errors(self, host: str) -> tuple[str, ...]:
        """What pyinfra has called an error on ``host``."""
        return tuple(self._errors.get(host, ()))

    def attach(self) -> None:
        """Make this the only handler of pyinfra's logger."""
        logger = logging.getLogger("pyinfra")
        logger.handlers[:] = [self]
        logger.propagate = False
        logger.setLevel(logging.DEBUG if self.verbosity > 1 else logging.INFO)
        # A thread of paramiko's logs its own tracebacks, and what went wrong reaches us anyhow.
        library = logging.getLogger("paramiko")
        library.handlers[:] = [self if self.verbosity > 1 else logging.NullHandler()]
        library.propagate = False
