"""The way from the engine's host to the load generator, and what GuideLLM sees at its end.

    load_link.py check LINK     whether it can be used, as JSON
    load_link.py end LINK       the run has ended: the load generator is left, the key removed

A link is a folder, written by the operator: ``link.json``, the run's own key and the load
generator's host key.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocminfra.host.bench import load_frames, made_data
from rocminfra.host.bench.files import read_json
from rocminfra.host.bench.load_agent import DATASETS, TOKENIZER
from rocminfra.planning.bench.job_record import JobRecord

LINK = "link.json"
PREPARED = "prepared"
BEAT_S = 5.0
# The first ones come quickly: the clocks are compared before the load begins.
_QUICK_BEATS, _QUICK_S = 4, 0.05
HELLO_S = 20.0
CHECK_S = 30.0
# sshd frees the tunnel's port when it has noticed that the connection before has ended.
_TRIES, _PAUSE_S = 5, 2.0
# Weights are not needed to count tokens.
_WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack"}
_MOST_TOKENIZER_FILE = 64 * 1024**2


class LinkError(OSError):
    """The load generator cannot be used."""


@dataclass(frozen=True)
class Seen:
    """What GuideLLM is told.

    + target: base address of the engine
    + tokenizer: folder or repository
    + made: path of the data set that was made, or None
    """

    target: str
    tokenizer: str
    made: str | None


def seen(job: JobRecord) -> Seen:
    """What GuideLLM is told, wherever it runs."""
    if job.load_generator is None:
        return Seen(job.target, job.tokenizer, made_data.path(job))
    link = _read(Path(job.load_generator.link))
    data = job.scenario.data
    made = None
    if data["kind"] == made_data.KIND:
        made = made_data.path_in(data, f"{link['work']}/{DATASETS}")
    tokenizer = f"{link['work']}/{TOKENIZER}" if _tokenizer_files(job) else job.tokenizer
    return Seen(str(link["target"]), tokenizer, made)


def ssh(folder: Path, verb: str) -> list[str]:
    """The command that asks the load generator for something.

    + folder: the link
    + verb: see :mod:`rocminfra.host.bench.load_agent`
    """
    link = _read(folder)
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

    def note(self, sent: float, theirs: float, received: float) -> None:
        """A question and its answer, in Unix seconds of the two clocks.

        Their clock was read somewhere between ``sent`` and ``received``, so that the middle is at
        most half of that time off (RFC 5905, section 8).
        """
        uncertainty = max(0.0, received - sent) / 2
        offset = theirs - (sent + received) / 2
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
        # Open as long as the process.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            ssh(folder, verb),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        threading.Thread(target=self._listen, daemon=True).start()
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
        self._said.seek(0)
        text = self._said.read().decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
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

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        try:
            while (frame := load_frames.read(stream)) is not None:
                header, body = frame
                if "hello" in header:
                    self.machine = dict(header["hello"])
                    self._greeted.set()
                elif "beat" in header:
                    self.clock.note(float(header["beat"]), float(header["clock"]), time.time())
                else:
                    self._take(header, body)
        except (ValueError, TypeError, KeyError, OSError) as error:
            self.problem = f"{type(error).__name__}: {error}"
        finally:
            self.ended.set()

    def _beat(self) -> None:
        number = 0
        while not self.ended.is_set():
            try:
                self.send({"beat": time.time()})
            except (OSError, ValueError):
                return
            number += 1
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


def ask(
    folder: Path, verb: str, answer: str, order: Mapping[str, Any], files: list[Path], most_s: float
) -> tuple[str | None, Connection]:
    """Ask the load generator for something that it answers with None or a problem.

    + answer: name of the answer
    + order: what is asked for
    + files: files to send before
    + most_s: longest time, in seconds

    Raises :class:`LinkError`.
    """
    found: list[str | None] = []
    answered = threading.Event()

    def take(header: dict[str, Any], _body: bytes) -> None:
        if answer in header:
            found.append(header[answer])
            answered.set()

    connection = connect(folder, verb, take)
    try:
        for path in files:
            load_frames.send_file(connection.send, path, path.name)
        connection.send({"order": dict(order)})
        deadline = time.monotonic() + most_s
        while not answered.wait(0.1) and not connection.ended.is_set():
            if time.monotonic() > deadline:
                raise LinkError(f"no answer within {most_s:g} s")
        if not found:
            raise LinkError(connection.last_words or "the connection was lost")
        return found[0], connection
    finally:
        connection.close()


def check(folder: Path) -> dict[str, Any]:
    """Whether the load generator reaches the engine, and how far its clock is from this host's.

    + folder: the link
    """
    try:
        problem, connection = ask(folder, "check", "checked", {}, [], CHECK_S)
    except OSError as error:
        return {"connected": False, "problem": str(error), "clock": None}
    return {"connected": True, "problem": problem, "clock": connection.clock.record}


def prepare(job: JobRecord) -> str | None:
    """Bring to the load generator what every point needs. Returns None, or why that failed."""
    load = job.load_generator
    assert load is not None
    if (Path(load.link) / PREPARED).exists():
        return None
    order = {
        "data": dict(job.scenario.data),
        "environment": dict(job.environment),
        "seconds": job.scenario.overhead_seconds,
    }
    files = _tokenizer_files(job)
    if not files and job.tokenizer.startswith("/"):
        return f"{job.tokenizer} has no tokenizer that could be sent to {load.host}"
    most_s = job.scenario.overhead_seconds + 60
    try:
        problem = ask(Path(load.link), "prepare", "prepared", order, files, most_s)[0]
        if problem is None:
            (Path(load.link) / PREPARED).touch()
    except OSError as error:
        return f"the load generator {load.host} could not be prepared: {error}"
    return problem


def end(folder: Path) -> None:
    """Leave the load generator, and remove the run's key.

    + folder: the link; may be gone already
    """
    if (folder / LINK).exists():
        try:
            subprocess.run(
                ssh(folder, "end"),
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=HELLO_S,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            # It ends by itself when nothing is heard of the run.
            print(f"the load generator was not told of the end: {error}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    verb, folder = arguments[0], Path(arguments[1])
    if verb == "check":
        print(json.dumps(check(folder)))
    else:
        end(folder)
    return 0


def _read(folder: Path) -> dict[str, Any]:
    link = read_json(folder / LINK)
    if not isinstance(link, dict):
        raise LinkError(f"{folder} is gone: the run has ended, or this host was restarted")
    return link


def _tokenizer_files(job: JobRecord) -> list[Path]:
    """What GuideLLM needs of the model in order to count tokens."""
    folder = Path(job.tokenizer)
    if not folder.is_absolute():
        home = job.environment.get("HF_HOME", "")
        hub = Path(home) / "hub" / f"models--{job.tokenizer.replace('/', '--')}"
        revision = job.model_revision or "main"
        try:
            commit = (hub / "refs" / revision).read_text(encoding="utf-8").strip()
        except OSError:
            commit = revision
        folder = hub / "snapshots" / commit
    try:
        paths = sorted(folder.iterdir())
        return [
            path
            for path in paths
            if path.suffix not in _WEIGHTS
            and not path.name.startswith(".")
            and path.is_file()
            and path.stat().st_size <= _MOST_TOKENIZER_FILE
        ]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
