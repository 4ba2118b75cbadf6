"""pyinfra's log during a run: errors are collected per host, the rest is passed on or dropped.

pyinfra logs a failure and then raises "No hosts remaining!". Only the log has the reason, so it is
collected here and shown once, with its failure.
"""

from __future__ import annotations

import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterable

from paramiko import Transport

_HOST_PREFIX = re.compile(r"^\[(?P<host>[^\]]+)\](?P<text>.*)$", re.DOTALL)
# pyinfra's lines for every operation and host; the runner prints its own.
_STATUS = re.compile(r"^(Connected|Success|No changes|Skipped)\b")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


# Modules of pyinfra that warn of what is usual: at first there are no known hosts
# (pyinfra.connectors.sshuserclient.client).
_CHATTY = ("client",)


class HostLog(logging.Handler):
    """Collects pyinfra's errors per host.

    + show: called with every other line worth showing
    + verbosity: 0 shows warnings and operations' messages about a host, 1 all of pyinfra's output,
      2 also its debug log
    """

    def __init__(self, show: Callable[[str], None], verbosity: int) -> None:
        super().__init__()
        self.show = show
        self.verbosity = verbosity
        self._errors: dict[str, list[str]] = {}
        self._longest = 0

    def align(self, names: Iterable[str]) -> None:
        """Remove the padding with which pyinfra aligns host names: only some hosts appear here.

        + names: all hosts in the inventory
        """
        self._longest = max((len(name) for name in names), default=0)

    def emit(self, record: logging.LogRecord) -> None:
        message = _ANSI.sub("", record.getMessage())
        if self.verbosity == 0 and record.name == "pyinfra" and record.module in _CHATTY:
            return
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
        """pyinfra's error messages for ``host``."""
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
        # What it does not catch, Python would print: a ProxyCommand that has ended, for one.
        threading.excepthook = _log_of_paramiko


def _log_of_paramiko(arguments: threading.ExceptHookArgs) -> None:
    if not isinstance(arguments.thread, Transport):
        threading.__excepthook__(arguments)
        return
    lines = traceback.format_exception(
        arguments.exc_type, arguments.exc_value, arguments.exc_traceback
    )
    logging.getLogger("paramiko").error("".join(lines).rstrip())
