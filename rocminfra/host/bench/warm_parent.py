"""Import GuideLLM once, and fork a process from it for each point of a benchmark.

    python -I warm_parent.py < SOCKET

It runs with the Python of GuideLLM's environment and reads orders from the socket that is its
standard input, one JSON object a line:

    {"fork": {"folder": …, "arguments": […], "stdout": …, "stderr": …}}    fork, and wait
    {"go": PID}                                                            let it run GuideLLM

It answers ``{"ready": …}`` after its imports, ``{"forked": PID}`` or ``{"refused": WHY}``, and
``{"ended": PID, "code": EXIT CODE}``. When the socket closes, it kills what it forked, and ends.

Importing starts nothing here: one thread, no event loop, no process, checked before every fork. So
a forked process is like one that has just imported GuideLLM for itself, and nothing that one point
does reaches the next. That was looked at for one version of GuideLLM, and no other is forked.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any


def _beside(name: str) -> Any:
    """A program of this folder as a module: an isolated Python does not look here."""
    path = Path(__file__).resolve().with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


guidellm_launcher = _beside("guidellm_launcher")
worker_server = _beside("worker_server")

# What a point's process and its workers import.
_MODULES = (
    *("guidellm.benchmark.entrypoints", "guidellm.cli"),
    *("guidellm.scheduler", "guidellm.backends"),
)
# Variables for the imports alone. GuideLLM would start a thread that writes its log, OpenBLAS a
# thread for each core, and Arrow's allocator one that tidies up.
_QUIET = {
    "GUIDELLM__LOGGING": '{"console_log_level": null}',
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


@dataclass(frozen=True)
class Order:
    """What a forked process does.

    + folder: its working folder
    + arguments: GuideLLM's
    + stdout, stderr: files that its output is appended to
    """

    folder: str
    arguments: Sequence[str]
    stdout: str
    stderr: str


def main() -> int:
    """Serve until the socket closes; in a forked process, run GuideLLM."""
    channel = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    version, known = metadata.version("guidellm"), guidellm_launcher.PATCHED_VERSION
    if version != known:
        why = f"GuideLLM is {version}, and only {known} is known to stand it"
        _say(channel, {"refused": why})
        return 0
    with _variables():
        for module in _MODULES:
            importlib.import_module(module)
    # What is not collected again is not copied by the first collection of a forked process.
    gc.collect()
    gc.freeze()
    _say(channel, {"ready": {"pid": os.getpid(), "threads": _threads(), "at": time.time()}})
    order = Server(channel).serve()
    return 0 if order is None else run(order)


class Server:
    """Forks a process for every order.

    + channel: the socket
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._rest = b""
        # By PID: a descriptor that is readable once it has ended, and what lets it go.
        self._children: dict[int, tuple[int, int]] = {}

    def serve(self) -> Order | None:
        """Returns None when the socket has closed, and in a forked process its order."""
        # By poll(2): it has no descriptor that a fork would share.
        with selectors.PollSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.data is not None:
                        selector.unregister(key.fileobj)
                        self._ended(key.data)
                        continue
                    data = self._channel.recv(65536)
                    if not data:
                        self._kill_all()
                        return None
                    for message in self._messages(data):
                        if "go" in message:
                            self._let_go(message["go"])
                            continue
                        order = Order(**message["fork"])
                        pid = self._fork()
                        if pid == 0:
                            return order
                        if pid is not None:
                            selector.register(self._children[pid][0], selectors.EVENT_READ, pid)

    def _messages(self, data: bytes) -> list[dict[str, Any]]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def _fork(self) -> int | None:
        """Fork and say so. Returns 0 in the new process, and None when nothing was forked."""
        why = _unfit(set(self._children))
        if why is not None:
            _say(self._channel, {"refused": why})
            return None
        began_r, began_w = os.pipe()
        go_r, go_w = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            self._channel.close()
            for descriptor in (
                began_r,
                go_w,
                *(one for two in self._children.values() for one in two),
            ):
                os.close(descriptor)
            os.write(began_w, b".")
            os.close(began_w)
            # Until it is in the control group of its point, it does nothing.
            may_go = os.read(go_r, 1)
            os.close(go_r)
            if not may_go:
                os._exit(1)
            return 0
        os.close(began_w)
        os.close(go_r)
        os.read(began_r, 1)
        os.close(began_r)
        self._children[pid] = (os.pidfd_open(pid), go_w)
        _say(self._channel, {"forked": pid})
        return pid

    def _let_go(self, pid: int) -> None:
        # It may have been killed meanwhile.
        with contextlib.suppress(KeyError, BrokenPipeError):
            os.write(self._children[pid][1], b".")

    def _ended(self, pid: int) -> None:
        for descriptor in self._children.pop(pid):
            os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        _say(self._channel, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    def _kill_all(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def run(order: Order) -> int:
    """Run GuideLLM in this process, which was forked for it."""
    for path, number in ((order.stdout, 1), (order.stderr, 2)):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(order.folder)
    sys.argv = [guidellm_launcher.__file__, *order.arguments]
    # Its settings as this process would have read them, and its log.
    guidellm = importlib.import_module("guidellm")
    guidellm.reload_settings()
    guidellm.configure_logger()
    # Python does this for `random`: without it all processes would draw the same numbers.
    importlib.import_module("numpy.random").seed()
    code: int = guidellm_launcher.main(order.arguments, worker_server.share)
    return code


@contextlib.contextmanager
def _variables() -> Iterator[None]:
    """:data:`_QUIET` while modules are imported; what the user has set stays as it is."""
    before = dict(os.environ)
    os.environ.update({**_QUIET, **before})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _unfit(forked: set[int]) -> str | None:
    """Why a copy of this process would not be like a new one; None when it would (proc(5)).

    + forked: processes that it has forked for points
    """
    threads = _threads()
    if threads != 1:
        return f"it has {threads} threads"
    # Its selector, which every event loop makes with itself.
    if "anon_inode:[eventpoll]" in _descriptors():
        return "it has an event loop"
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    if set(map(int, children.split())) - forked:
        return "it has started processes"
    return None


def _threads() -> int:
    """Threads of this process, those of libraries included."""
    return len(os.listdir("/proc/self/task"))


def _descriptors() -> Iterator[str]:
    """What this process's descriptors lead to."""
    for entry in Path("/proc/self/fd").iterdir():
        # The one of this listing is gone again when it is looked at.
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(entry)


def _say(channel: socket.socket, message: dict[str, Any]) -> None:
    # The other side may be gone; then the next read says so.
    with contextlib.suppress(OSError):
        channel.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
