"""What the key of a run may start on the load generator, and nothing else.

sshd starts it instead of any command that was asked for (``command=`` in ``authorized_keys``), as a
user of its own. It runs GuideLLM for a point and sends back what comes of it, for as long as its
connection lives: without a sign of life for :data:`SILENT_S` it ends GuideLLM and itself.

What was asked for is one of ``check``, ``prepare``, ``run`` and ``end``.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import json
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.host.bench import guidellm_launcher, hang_watch, load_frames, made_data
from rocminfra.host.bench.control_group import GRACE_S
from rocminfra.host.bench.files import read_json
from rocminfra.host.bench.load_host import ALIVE, CONFIG, ENDED
from rocminfra.host.bench.provenance import system
from rocminfra.planning.bench import guidellm_spec, profiles

# The serving host says something every five seconds.
SILENT_S = 30.0
LOGS = ("stdout.log", "stderr.log")
# Sent as soon as they change; the others when GuideLLM has ended.
EARLY = (guidellm_launcher.RECORD, guidellm_launcher.STACKS)
RESULTS = ("report.json", "report.html")
INPUTS = ("guidellm.json", profiles.TRACE)
POINT, TOKENIZER, DATASETS = "point", "tokenizer", "datasets"
# Of GuideLLM and the hub; both hosts let no other pass.
VARIABLES = re.compile(r"GUIDELLM__[A-Z_]+|HF_HUB_OFFLINE|HF_ENDPOINT|NO_COLOR")
# Of a file that is sent as soon as it changes.
MOST_EARLY = 1024 * 1024
_MOST_ANSWER = 4 * 1024 * 1024
_PR_SET_CHILD_SUBREAPER = 36
_TICK_S = 0.2
# State of a socket in /proc/net/tcp.
_LISTENS = "0A"


class Agent:
    """A connection of the serving host.

    + config: what root wrote when the run was let in
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._work = Path(config["work"])
        self._lock = threading.Lock()
        self._heard = time.monotonic()
        self._over = threading.Event()
        self._ordered = threading.Event()
        self._order: dict[str, Any] = {}
        self._files: load_frames.Files | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def serve(self, verb: str) -> int:
        """Do what was asked for.

        + verb: see the module
        """
        (self._work / ALIVE).touch()
        if verb == "end":
            (self._work / ENDED).touch()
            return 0
        # What GuideLLM leaves behind becomes a child of this process, and ends with it.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        if verb != "check":
            self._end_all()
        if verb == "prepare":
            self._files = load_frames.Files(_fresh(self._work / TOKENIZER), _is_plain)
        elif verb == "run":
            self._files = load_frames.Files(_fresh(self._work / POINT), load_frames.one_of(INPUTS))
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._guard, daemon=True).start()
        self._send({"hello": _machine()})
        work = {"check": self._check, "prepare": self._prepare, "run": self._run}[verb]
        try:
            self._wait_for_order()
            if not self._over.is_set():
                work(self._order)
        finally:
            if verb != "check":
                self._end_all()
        # The connection is closed by whoever opened it.
        self._over.wait(SILENT_S)
        return 0

    def _check(self, order: Mapping[str, Any]) -> None:
        user = self._config["user"]
        problem = self._engine_problem(str(order.get("model", "")))
        found = None if problem is None else {"about": "engine", "why": problem}
        published = _published(self._config.get("port"))
        if published:
            found = {"about": "tunnel", "why": f"sshd listens at {', '.join(published)}"}
        python = self._config["python"]
        if found is None and not os.access(python, os.X_OK):
            found = {"about": "files", "why": f"{python} cannot be run by {user}"}
        for path in order.get("files", ()):
            wanted = os.R_OK | (os.X_OK if os.path.isdir(path) else 0)
            if found is None and not os.access(path, wanted):
                found = {"about": "files", "why": f"{path} cannot be read by {user}"}
        self._send({"checked": found})

    def _engine_problem(self, model: str) -> str | None:
        """Why what answers at the target is not the engine that is to be measured, or None."""
        url = f"{self._config['target']}/models"
        # The way to the engine is the one that was declared, whatever this host's proxy is.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=10) as answer:
                found = json.loads(answer.read(_MOST_ANSWER))
            names = [str(one["id"]) for one in found["data"]]
        except OSError as error:
            return f"{url}: {error}"
        except (ValueError, TypeError, KeyError):
            return f"{url}: what answers there is no engine"
        if model and model not in names:
            return f"{url}: what answers there serves {', '.join(names) or 'nothing'}, not {model}"
        return None

    def _prepare(self, order: Mapping[str, Any]) -> None:
        data = order["data"]
        problem = None
        if data["kind"] == made_data.KIND:
            datasets = self._work / DATASETS
            datasets.mkdir(exist_ok=True)
            problem = made_data.make(
                self._config["python"],
                data,
                made_data.path_in(data, str(datasets)),
                self._environment(order.get("environment", {})),
                float(order["seconds"]),
            )
        self._send({"prepared": problem})

    def _run(self, order: Mapping[str, Any]) -> None:
        folder = self._work / POINT
        command = guidellm_spec.command(self._config["python"], guidellm_launcher.__file__)
        with (folder / LOGS[0]).open("wb") as out, (folder / LOGS[1]).open("wb") as err:
            self._process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=self._environment(order.get("environment", {})),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        sent: dict[str, Any] = {}
        code = None
        told_at = 0.0
        while code is None and not self._over.is_set():
            code = self._process.poll()
            self._send_news(folder, sent)
            if time.monotonic() - told_at >= 1.0:
                told_at = time.monotonic()
                self._send({"cpu": hang_watch.cpu_seconds(hang_watch.family(self._process.pid))})
            self._over.wait(_TICK_S)
        self._end_all()
        self._send_news(folder, sent)
        if code is not None:
            for name in RESULTS:
                load_frames.send_file(self._send, folder / name, name)
        self._send({"exit": code})

    def _send_news(self, folder: Path, sent: dict[str, Any]) -> None:
        """Send what was written since the last time."""
        for name in LOGS:
            at = sent.get(name, 0)
            with (folder / name).open("rb") as stream:
                stream.seek(at)
                while body := stream.read(load_frames.MOST_BODY):
                    self._send({"log": name}, body)
                    at += len(body)
            sent[name] = at
        for name in EARLY:
            try:
                state = (folder / name).stat()
            except FileNotFoundError:
                continue
            now = (state.st_mtime_ns, state.st_size)
            if sent.get(name) != now:
                sent[name] = now
                load_frames.send_file(self._send, folder / name, name, MOST_EARLY)

    def _environment(self, given: Mapping[str, Any]) -> dict[str, str]:
        wanted = {k: str(v) for k, v in given.items() if VARIABLES.fullmatch(k)}
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self._work),
            "HF_HOME": str(self._work / "huggingface"),
            **wanted,
        }

    def _send(self, header: dict[str, Any], body: bytes = b"") -> None:
        with self._lock:
            load_frames.write(sys.stdout.buffer, header, body)

    def _wait_for_order(self) -> None:
        while not self._ordered.wait(_TICK_S) and not self._over.is_set():
            pass

    def _listen(self) -> None:
        """Take what the serving host says, until it says no more."""
        try:
            while (frame := load_frames.read(sys.stdin.buffer)) is not None:
                header, body = frame
                self._heard = time.monotonic()
                if "beat" in header:
                    self._send({"beat": header["beat"], "clock": time.time()})
                    (self._work / ALIVE).touch()
                elif "file" in header and self._files is not None and not self._ordered.is_set():
                    self._files.take(header, body)
                elif "order" in header and not self._ordered.is_set():
                    self._order = header["order"]
                    self._ordered.set()
                elif "stacks" in header and self._process is not None:
                    hang_watch.ask_for_stacks(
                        hang_watch.family(self._process.pid),
                        guidellm_launcher.STACKS_SIGNAL,
                        self._work / POINT / guidellm_launcher.STACKS,
                    )
        except (load_frames.FrameError, OSError) as error:
            print(f"the serving host: {error}", file=sys.stderr)
        finally:
            self._over.set()

    def _guard(self) -> None:
        """End everything when the serving host is silent, or no longer reads."""
        while time.monotonic() - self._heard < SILENT_S:
            time.sleep(1.0)
        self._end_all()
        # sshd may not know yet that nobody is there, and would keep the tunnel's port.
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(1)

    def _end_all(self) -> None:
        """End what this process, and an earlier one that was killed, have started."""
        number, deadline = signal.SIGTERM, time.monotonic() + GRACE_S
        while True:
            left = _ours(self._work)
            if not left:
                return
            for pid in left:
                try:
                    os.kill(pid, number)
                except OSError:
                    continue
            time.sleep(0.1)
            if time.monotonic() > deadline:
                number = signal.SIGKILL


def main(arguments: list[str]) -> int:
    """Command line: the folder in which root has written what this run may do."""
    config = read_json(Path(arguments[0]) / CONFIG)
    verb = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    if config is None or verb not in ("check", "prepare", "run", "end"):
        print("this key sends the load of a benchmark, and does nothing else", file=sys.stderr)
        return 64
    os.umask(0o077)
    # sshd holds a file for each stream of the tunnel, GuideLLM one for each of its connections.
    for pid in (os.getppid(), os.getpid()):
        allow_files(pid)
    return Agent(config).serve(verb)


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def allow_files(pid: int) -> None:
    """Let a process of this user open as many files as its hard limit says."""
    with contextlib.suppress(OSError, ValueError):
        hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))


def _published(port: int | None) -> list[str]:
    """Addresses besides the loopback at which something listens on a port (proc_pid_net(5))."""
    found = []
    for name in ("tcp", "tcp6") if port is not None else ():
        try:
            lines = Path(f"/proc/net/{name}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            address, _, number = fields[1].rpartition(":")
            if fields[3] == _LISTENS and int(number, 16) == port:
                # Words of four bytes, each in the order of this machine.
                words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
                packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
                where = ipaddress.ip_address(packed)
                if not where.is_loopback:
                    found.append(f"{where} port {port}")
    return found


def _is_plain(name: str) -> bool:
    return load_frames.PLAIN.fullmatch(name) is not None


def _machine() -> dict[str, Any]:
    return {
        "system": system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def _ours(work: Path) -> list[int]:
    """Processes below this one, and those of an earlier one that was killed."""
    found = set(hang_watch.family(os.getpid()))
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(entry).startswith(f"{work}/"):
                found.add(int(entry.parent.name))
        except (OSError, ValueError):
            continue
    return [pid for pid in found if pid != os.getpid() and not _is_dead(pid)]


def _is_dead(pid: int) -> bool:
    # Zombies of this process are waited for here, or they would never go.
    with contextlib.suppress(OSError):
        os.waitpid(pid, os.WNOHANG)
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in ("Z", "X")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
