"""pyinfra's log during a run: errors are kept by host, the rest is passed on or dropped.

pyinfra logs what failed and then raises "No hosts remaining!". The log is where the reason is, so
it is collected here and shown once, with the failure it belongs to.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

_HOST_PREFIX = re.compile(r"^\[(?P<host>[^\]]+)\]\s*(?:nested\s*)?(?P<text>.*)$", re.DOTALL)
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

    def emit(self, record: logging.LogRecord) -> None:
        message = _ANSI.sub("", record.getMessage())
        match = _HOST_PREFIX.match(message)
        if record.levelno >= logging.ERROR and match is not None:
            self._errors.setdefault(match["host"], []).append(match["text"].rstrip())
            if self.verbosity == 0:
                return
        told = match is not None and not _STATUS.match(match["text"])
        if record.levelno >= logging.WARNING or self.verbosity > 0 or told:
            self.show(message)

    def errors(self, host: str) -> tuple[str, ...]:
        """What pyinfra has called an error on ``host``."""
        return tuple(self._errors.get(host, ()))

    def attach(self) -> None:
        """Make this the only handler of pyinfra's logger."""
        logger = logging.getLogger("pyinfra")
        logger.handlers[:] = [self]
        logger.propagate = False
        logger.setLevel(logging.DEBUG if self.verbosity > 1 else logging.INFO)
