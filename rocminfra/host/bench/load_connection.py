"""A connection of the engine's host to the load generator: an SSH client, and frames through it.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rocminfra.host.bench import load_frames
from rocminfra.host.bench.files import read_json

LINK = "link.json"
BEAT_S = 5.0
# The first ones come quickly: the clocks are compared before the load begins.
_QUICK_BEATS, _QUICK_S = 4, 0.05
HELLO_S = 20.0
# sshd frees the tunnel's port when it has noticed that the connection before has ended.
_TRIES, _PAUSE_S = 5, 2.0
# Of what the SSH client, and through it the other side, says besides the frames.
_MOST_SAID = 64 * 1024
# What is kept of what the load generator says of itself.
MACHINE = ("system", "kernel", "machine", "cores")


class LinkError(OSError):
    """The load generator cannot be used."""


def ssh(folder: Path, verb: str) -> list[str]:
    """The command that asks the load generator for something.

    + folder: the link
    + verb: see :mod:`rocminfra.host.bench.load_agent`
    """
    link = read_link(folder)
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(folder / "known_hosts"),
        "GlobalKnownHostsFile": "none",
        # The key is the one that the operator has read over a connection of their own.
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": "load-generator",
        "ExitOnForwardFailure": "yes",
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "6",
        "ConnectTimeout": "10",
        "LogLevel": "ERROR",
    }
    words = ["ssh", "-F", "none", "-T", "-i", str(folder / "key"), "-p", str(link["ssh_port"])]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    if link["port"] is not None and verb in ("check", "run"):
        words += ["-R", f"127.0.0.1:{link['port']}:{link['engine']}"]
    return [*words, "--", f"{link['user']}@{link['address']}", verb]


class Clock:
    """How far the load generator's clock is from this host's, by the messages between them."""

    def __init__(self) -> None:
        self._best: tuple[float, float] | None = None
        self._furthest = 0.0
        self._samples = 0

    def note(self, theirs: float, received: float, took: float) -> None:
        """An answer, and how long it took.

        + theirs, received: Unix seconds of their clock, and of this host's when it came
        + took: seconds since the question, by a clock that is never set

        Their clock was read at some time in between, so that the middle is at most half of that
        time off (RFC 5905, section 8).
        """
        uncertainty = took / 2
        offset = theirs - (received - uncertainty)
        self._samples += 1
        if self._best is None or uncertainty < self._best[0]:
            self._best = (uncertainty, offset)
        self._furthest = max(self._furthest, abs(offset) - uncertainty)

    @property
    def record(self) -> dict[str, Any] | None:
        """``offset_s`` and ``uncertainty_s`` of the best sample, and by how much the clocks
        differed for certain at any time (``furthest_s``); None without a sample.
        """
        if self._best is None:
            return None
        uncertainty, offset = self._best
        return {
            "offset_s": round(offset, 6),
            "uncertainty_s": round(uncertainty, 6),
            "furthest_s": round(max(0.0, self._furthest), 6),
            "samples": self._samples,
        }


class Connection:
    """A connection to the load generator, until it is closed.

    + folder: the link
    + verb: what is asked for
    + take: called for every frame that is not about the connection itself, in a thread of its own

    Raises :class:`LinkError` when there is no answer.
    """

    def __init__(
        self, folder: Path, verb: str, take: Callable[[dict[str, Any], bytes], None]
    ) -> None:
        self._take = take
        self.clock = Clock()
        self.machine: dict[str, Any] = {}
        self.ended = threading.Event()
        self.problem: str | None = None
        self._greeted = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._asked: dict[int, float] = {}
        self._said = b""
        self._process = subprocess.Popen(
            ssh(folder, verb),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self._hears = threading.Thread(target=self._hear, daemon=True)
        self._hears.start()
        deadline = time.monotonic() + HELLO_S
        while not self._greeted.wait(0.05) and not self.ended.is_set():
            if time.monotonic() > deadline:
                break
        if not self._greeted.is_set():
            self.close()
            raise LinkError(self.last_words or f"no answer within {HELLO_S:g} s")
        threading.Thread(target=self._beat, daemon=True).start()

    @property
    def pid(self) -> int:
        """PID of the SSH client."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """What the SSH client, or the other side, has said last."""
        if self.ended.is_set():
            self._hears.join(1.0)
        text = self._said.decode("utf-8", "replace")
        lines = [line for line in map(load_frames.plain, text.split("\n")) if line]
        return " | ".join([*lines[-3:], *([self.problem] if self.problem else [])])

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame; raises OSError when the connection is gone."""
        assert self._process.stdin is not None
        with self._lock:
            load_frames.write(self._process.stdin, header, body)

    def close(self, grace_s: float = 5.0) -> None:
        """End the connection; the other side ends what it has started.

        + grace_s: seconds for it to do so, and to say so
        """
        self._closed.set()
        try:
            assert self._process.stdin is not None
            self._process.stdin.close()
        except OSError:
            pass
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hear(self) -> None:
        """Keep the end of what is said besides the frames."""
        stream = self._process.stderr
        assert stream is not None
        with stream:
            while part := os.read(stream.fileno(), 4096):
                self._said = (self._said + part)[-_MOST_SAID:]

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        try:
            while (frame := load_frames.read(stream)) is not None:
                header, body = frame
                if "hello" in header:
                    told = dict(header["hello"])
                    self.machine = {name: _told(told.get(name)) for name in MACHINE}
                    self._greeted.set()
                elif "beat" in header:
                    asked = self._asked.pop(int(header["beat"]))
                    took = time.monotonic() - asked
                    self.clock.note(float(header["clock"]), time.time(), took)
                else:
                    self._take(header, body)
        except (ValueError, TypeError, KeyError, OSError) as error:
            self.problem = load_frames.plain(f"{type(error).__name__}: {error}")
        finally:
            self.ended.set()

    def _beat(self) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            self._asked[number] = time.monotonic()
            try:
                self.send({"beat": number})
            except (OSError, ValueError):
                return
            if self._closed.wait(_QUICK_S if number < _QUICK_BEATS else BEAT_S):
                return


def connect(folder: Path, verb: str, take: Callable[[dict[str, Any], bytes], None]) -> Connection:
    """As :class:`Connection`, tried several times."""
    for number in range(1, _TRIES + 1):
        try:
            return Connection(folder, verb, take)
        except LinkError:
            if number == _TRIES:
                raise
            time.sleep(_PAUSE_S)
    raise AssertionError


def read_link(folder: Path) -> dict[str, Any]:
    """What the operator wrote down; raises :class:`LinkError` when that is gone."""
    link = read_json(folder / LINK)
    if not isinstance(link, dict):
        raise LinkError(f"{folder} is gone: the run has ended, or this host was restarted")
    return link


def _told(value: Any) -> Any:
    """A text or number of the other side's, fit for a record; anything else is unknown."""
    if type(value) in (int, float):
        return value
    return load_frames.plain(value) if isinstance(value, str) else None
