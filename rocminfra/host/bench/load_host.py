"""Let a load generator be used by one run, and leave it as it was afterwards.

    load_host.py hold REQUEST     until the run has ended, as a unit that is notified when ready
    load_host.py close REQUEST    what is left of it, after any end

As root, in a unit of its own. The serving host logs in as a user that exists for as long as the
unit does, with a key that starts :mod:`rocminfra.host.bench.load_agent` and nothing else. User, key
and files are gone when the unit ends: with the run, when nothing was heard of it for
:data:`SILENT_S`, at its time limit, and at a reboot, because home folder and key are in ``/run``.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rocminfra.host.bench.files import read_json, write_json

CONFIG = "config.json"
ENDED = "ended"
ALIVE = "alive"
# Between two points there are seconds; a repeat waits two minutes for the engine.
SILENT_S = 900.0
# In GuideLLM's environment.
COMPILED = ".compiled"
_IMPORTED = ("guidellm.benchmark.entrypoints", "guidellm.cli", "transformers.models.auto")
_POLL_S = 1.0
_KILLED_S = 10.0


def key_line(request: dict[str, Any], port: int | None, now: float) -> str:
    """The line of ``authorized_keys`` (sshd(8)): what the run's key may do, and until when.

    + request: what the operator asked for
    + port: of this host's loopback, at which the engine appears; None without a tunnel
    + now: Unix time

    ``port-forwarding`` would also allow forwarding from here, so that goes to a name that never
    exists (RFC 6761); sockets in the file system cannot be excluded, but they are opened as this
    user, who may open nothing.
    """
    # In the time of this host: sshd before 9.1 knows no other.
    expiry = time.strftime("%Y%m%d%H%M%S", time.localtime(now + request["seconds"]))
    command = f"exec env PYTHONPATH={request['programs']} python3 -m {_AGENT} {request['home']}"
    options = ["restrict"]
    if port is not None:
        listen = f'permitlisten="127.0.0.1:{port}"'
        options += ["port-forwarding", listen, 'permitopen="none.invalid:1"']
    options += [f'command="{command}"', f'expiry-time="{expiry}"']
    kind, text = str(request["public_key"]).split()[:2]
    return f"{','.join(options)} {kind} {text} rocminfra-{request['run']}\n"


def hold(path: Path) -> int:
    """Let the run in, and wait for its end.

    + path: the request
    """
    request = json.loads(path.read_text(encoding="utf-8"))
    home, work = Path(request["home"]), Path(request["work"])
    close(path)
    _compile(Path(request["python"]))
    _make_user(request["user"], home)
    owner = pwd.getpwnam(request["user"])
    for folder in (home, home / ".ssh"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    for folder in (work.parent.parent, work.parent):
        folder.mkdir(parents=True, exist_ok=True)
        # Whatever root's umask was when it was made: the run's user has to get through.
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o011)
    work.mkdir(mode=0o700)
    os.chown(work, owner.pw_uid, owner.pw_gid)
    (work / ALIVE).touch()
    os.chown(work / ALIVE, owner.pw_uid, owner.pw_gid)
    port = None if request["target"] else _free_port()
    target = request["target"] or f"http://127.0.0.1:{port}/v1"
    config = {**request, "target": target, "port": port}
    write_json(home / CONFIG, config)
    (home / CONFIG).chmod(0o644)
    keys = home / ".ssh" / "authorized_keys"
    # Root's, so that nothing that runs as the user can change what the key may do.
    keys.write_text(key_line(request, port, time.time()), encoding="ascii")
    keys.chmod(0o644)
    _notify("READY=1")
    while not (work / ENDED).exists() and not _is_silent(work / ALIVE):
        time.sleep(_POLL_S)
    return 0


def close(path: Path) -> None:
    """Remove key, user, processes and files.

    + path: the request
    """
    request = read_json(path)
    if request is None:
        return
    home = Path(request["home"])
    # First of all: nobody comes in any more.
    shutil.rmtree(home, ignore_errors=True)
    try:
        uid = pwd.getpwnam(request["user"]).pw_uid
    except KeyError:
        uid = None
    if uid is not None:
        _kill(uid)
        subprocess.run(["userdel", request["user"]], check=False, stdin=subprocess.DEVNULL)
    # With it what a host that lost its power has kept of an earlier run: one is let in at a time.
    shutil.rmtree(Path(request["work"]).parent, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    verb, path = arguments[0], Path(arguments[1])
    if verb == "hold":
        return hold(path)
    close(path)
    with contextlib.suppress(OSError):
        path.unlink()
    return 0


_AGENT = "rocminfra.host.bench.load_agent"


def _compile(python: Path) -> None:
    """Let Python compile what GuideLLM imports, once: the run's user may not write it there.

    Otherwise every point would compile it anew, which takes longer than a short point's load.
    """
    marker = python.parent.parent / COMPILED
    if marker.exists():
        return
    done = subprocess.run(
        [str(python), "-I", "-c", f"import {', '.join(_IMPORTED)}"],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    if done.returncode == 0:
        marker.touch()


def _make_user(name: str, home: Path) -> None:
    subprocess.run(
        [
            *("useradd", "--system", "--no-create-home", "--home-dir", str(home)),
            # No password that fits, and not locked: sshd lets no locked user in.
            *("--shell", "/bin/sh", "--password", "*", name),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def _kill(uid: int) -> None:
    """End all processes of the user; sessions and a user manager among them."""
    deadline = time.monotonic() + _KILLED_S
    while time.monotonic() < deadline:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if entry.stat().st_uid == uid:
                    found.append(int(entry.name))
            except OSError:
                continue
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _is_silent(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > SILENT_S
    except OSError:
        return True


def _notify(text: str) -> None:
    """Tell systemd (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(address)
        channel.sendall(text.encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
