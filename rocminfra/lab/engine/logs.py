"""Log lines in vLLM's format, on standard output as in its container."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO


class EngineLog:
    """Writes lines as vLLM's logger does: level, time, source file, message.

    + stream: where they go
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._api = f"(APIServer pid={os.getpid()})"
        # vLLM's engine is a separate process; here it only has a separate number.
        self._core = f"(EngineCore_DP0 pid={os.getpid() + 1})"

    def api(self, source: str, message: str, level: str = "INFO") -> None:
        """A line of the API server; ``source`` is like ``api_server.py:592``."""
        self._line(self._api, level, source, message)

    def core(self, source: str, message: str, level: str = "INFO") -> None:
        """A line of the engine's process."""
        self._line(self._core, level, source, message)

    def uvicorn(self, message: str) -> None:
        """A line of the web server, which has its own format."""
        self._write(f"{self._api} INFO:     {message}")

    def raw(self, text: str) -> None:
        """Unformatted text, such as a traceback."""
        self._write(text)

    def _line(self, process: str, level: str, source: str, message: str) -> None:
        now = time.strftime("%m-%d %H:%M:%S")
        self._write(f"{process} {level} {now} [{source}] {message}")

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()
