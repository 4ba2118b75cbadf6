"""Fork GuideLLM's workers from a process that has imported GuideLLM already.

GuideLLM's workers come from :mod:`multiprocessing`'s fork server, which is a new interpreter that
imports everything again. In a process that was forked from ``warm_parent.py`` another copy of that
process can be the server instead. :mod:`multiprocessing` has a setting for the interpreter that it
starts (``set_executable``), so it starts this file in its place, once:

    python -I -S worker_server.py SOCKET INTERPRETER ARGUMENTS…

which hands the server's command line and descriptors to the copy that waits at SOCKET, and stays as
long as that does. When nobody waits, it becomes the interpreter that it stands for.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import multiprocessing
import os
import select
import shlex
import signal
import socket
import sys
from collections.abc import Callable
from multiprocessing import forkserver, resource_tracker, spawn
from pathlib import Path

# In the point's folder, until the server runs. Relative: a socket's path is at most 107 bytes.
SOCKET = "workers.sock"
RELAY = "workers.sh"
PATIENCE_S = 30.0
# Above every descriptor that is in use.
_HIGH = 200


def share(prepare: Callable[[], None]) -> str:
    """Start the fork server of this process as a copy of it.

    Returns how workers start: ``warm``, or ``cold`` when the server had to be a new interpreter.
    The process must have one thread. ``prepare`` is called in the copy.
    """
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o077)
    try:
        listener.bind(SOCKET)
        words = (sys.executable, "-I", "-S", __file__, SOCKET, sys.executable)
        Path(RELAY).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        Path(RELAY).chmod(0o700)
    finally:
        os.umask(mask)
    listener.listen(1)
    took_r, took_w = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(took_r)
        _be_server(listener, took_w, prepare)
    os.close(took_w)
    listener.close()
    before = spawn.get_executable()
    # It is an interpreter, too, and not to be started by the relay.
    resource_tracker.ensure_running()
    multiprocessing.set_executable(str(Path(RELAY).resolve()))
    try:
        forkserver.ensure_running()
        readable, _, _ = select.select([took_r], [], [], PATIENCE_S)
        is_warm = bool(readable) and os.read(took_r, 1) == b"."
    finally:
        multiprocessing.set_executable(before)
        os.close(took_r)
    if not is_warm:
        # The relay then finds nobody at the socket.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for name in (SOCKET, RELAY):
        Path(name).unlink()
    return "warm" if is_warm else "cold"


def main(path: str, interpreter: str, arguments: list[str]) -> int:
    """Stand in for an interpreter; see the module's docstring.

    + path: the socket
    + interpreter: path of the interpreter
    + arguments: its arguments, among them ``-c`` and a program
    """
    passed = [number for number in map(int, os.listdir("/proc/self/fd")) if _is_passed(number)]
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(path)
            program = arguments[arguments.index("-c") + 1]
            order = {"program": program, "numbers": passed}
            socket.send_fds(server, [json.dumps(order).encode() + b"\n"], passed)
        except OSError:
            os.execv(interpreter, [interpreter, *arguments])
        for number in passed:
            os.close(number)
        # Its end is the server's.
        server.recv(1)
    return 0


def _is_passed(number: int) -> bool:
    # The descriptor of the listing itself is closed by now.
    try:
        return number > 2 and os.get_inheritable(number)
    except OSError:
        return False


def _be_server(listener: socket.socket, took: int, prepare: Callable[[], None]) -> None:
    """Wait for the relay and run what it stands for; does not return."""
    code = 1
    try:
        listener.settimeout(PATIENCE_S)
        relay, _ = listener.accept()
        listener.close()
        relay.settimeout(PATIENCE_S)
        text, found, _, _ = socket.recv_fds(relay, 65536, 16)
        order = json.loads(text)
        # Both may have numbers that are wanted.
        kept = fcntl.fcntl(relay, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        relay.close()
        os.write(took, b".")
        os.close(took)
        high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, kept + 1) for one in found]
        for one in found:
            os.close(one)
        for one, number in zip(high, order["numbers"]):
            os.dup2(one, number, inheritable=False)
            os.close(one)
        prepare()
        sys.argv = ["-c"]
        exec(order["program"], {})
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except Exception:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
