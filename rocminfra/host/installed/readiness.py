"""Tell whether the engine serves, as one JSON object on stdout.

    python3 readiness.py --unit vllm.service --container NAME --port 8000 --model NAME
        [--host 127.0.0.1] [--wait 20]

Ready means: the unit's own container owns the port, the served model is the declared one, and a
real completion came back. ``/health`` alone proves little: a hung engine still answers 200, and
with SO_REUSEPORT a stale server may hold the same port. While a benchmark of ours runs, no
completion is asked for: it would be another client's request in what is measured.

States: ``ready``, ``loading`` (keep waiting), ``wrong`` (something else answers), ``dead`` (the
unit failed or is not running). The exit code is 0 whatever the state: the JSON is the answer.

With ``ROCMINFRA_PATIENCE_S`` in the environment all answers together take no longer than that, and
an engine that gives none and makes no tokens for others meanwhile is ``hung``.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time

# No argparse and no urllib here: what they take to import is several times what the whole look
# takes, and a run asks this of every host.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Answer = dict[str, Any]

LISTEN = "0A"  # state of a listening socket in /proc/net/tcp (include/net/tcp_states.h)
COMPLETION_TIMEOUT_S = 60.0
MOST_BYTES = 16 << 20
LOCAL = "127.0.0.1"
PATIENCE = "ROCMINFRA_PATIENCE_S"
# A link for every unit that is active (systemd since version 236).
ACTIVE_UNITS = "/run/systemd/units"
_BENCHMARK = "invocation:rocminfra-bench-"
# What vLLM counts while it works (its metrics page).
_WORK = re.compile(rb"(?m)^vllm:(?:generation|prompt)_tokens_total(?:\{[^}]*\})? +([0-9.eE+]+)")
OPTIONS = ("--unit", "--container", "--port", "--model", "--host", "--wait")


def verdict(
    unit: dict[str, str],
    owners: Iterable[str],
    container: str,
    models: Callable[[], list[str]],
    complete: Callable[[], str],
    model: str,
    works: Callable[[], bool] | None = None,
    measured: Callable[[], bool] = lambda: False,
) -> tuple[str, str]:
    """State and reason, with no more questions than needed.

    + unit: properties of the systemd unit (``ActiveState``, ``SubState``, ``Result``)
    + owners: ids of the containers that own the listening sockets; "" for a process in none
    + container: id of the unit's container, "" when it is not running
    + models: asks the server for its models; raises OSError when it does not answer
    + complete: asks for one token; raises OSError or ValueError when none comes
    + model: name of the declared model
    + works: whether the engine makes tokens for others, asked when it lets us wait; None calls such
      an engine ``loading``
    + measured: whether a benchmark runs, which a request from here would spoil
    """
    active = unit.get("ActiveState", "")
    if active == "failed":
        return "dead", f"the unit failed (result: {unit.get('Result', 'unknown')})"
    if active in ("inactive", "deactivating", ""):
        return "dead", f"the unit is {active or 'not installed'}"
    if not container:
        return "loading", f"the unit is {active} ({unit.get('SubState', '')}), no container yet"
    owners = set(owners)
    if not owners:
        return "loading", "the container runs, nothing listens on the port yet"
    if owners != {container}:
        return "wrong", "the port belongs to another process than the unit's container"
    try:
        served = models()
    except (OSError, ValueError) as error:
        if works is not None and isinstance(error, (socket.timeout, TimeoutError)):
            return "hung", "the server takes connections and does not answer"
        return "loading", f"the server does not answer yet: {error}"
    if model not in served:
        return "wrong", f"serves {', '.join(served) or 'nothing'} instead of {model}"
    if measured():
        return "ready", "a benchmark runs, so no completion was asked for"
    try:
        complete()
    except (OSError, ValueError) as error:
        if works is not None and isinstance(error, (socket.timeout, TimeoutError)):
            if works():
                return "ready", "busy: it answers others, and not yet this question"
            return "hung", "the server answers, and no token comes"
        return "loading", f"no completion yet: {error}"
    return "ready", ""


def main(arguments: list[str]) -> int:
    """Look until the engine is ready, wrong or dead, or ``--wait`` seconds are over."""
    given = dict(zip(arguments[::2], arguments[1::2]))
    if len(arguments) % 2 or not set(OPTIONS[:4]) <= set(given) <= set(OPTIONS):
        print(f"usage: readiness.py {' VALUE '.join(OPTIONS)} SECONDS", file=sys.stderr)
        return 2
    unit, container, model = given["--unit"], given["--container"], given["--model"]
    address = (given.get("--host", LOCAL), int(given["--port"]))
    deadline = time.monotonic() + float(given.get("--wait", 0))
    while True:
        answer = observe(unit, container, address, model)
        if answer["state"] != "loading" or time.monotonic() >= deadline:
            break
        time.sleep(0.5)
    if answer["state"] != "ready":
        answer["log"] = _log(unit)
    print(json.dumps(answer, sort_keys=True))
    return 0


def observe(unit_name: str, container_name: str, address: tuple[str, int], model: str) -> Answer:
    """One look at unit, container, port and server."""
    unit = _unit(unit_name)
    # Not where the unit is off: asking a Docker that is off would start it.
    is_off = unit.get("ActiveState") in ("inactive", "failed")
    container_id, label, first = ("", "", 0) if is_off else _container(container_name)
    owners = [_container_of(pid, container_id) for pid in _listeners(address[1], first)]
    patience = float(os.environ.get(PATIENCE) or 0)
    end = time.monotonic() + patience
    before: list[list[bytes] | None] = []

    def models() -> list[str]:
        if patience:
            before.append(_work(address))
        return _models(address, left(10.0))

    def works() -> bool:
        now = _work(address)
        return None not in (before[0], now) and now != before[0]

    def left(usual: float) -> float:
        return min(usual, max(0.1, end - time.monotonic())) if patience else usual

    state, reason = verdict(
        unit,
        owners,
        container_id,
        models,
        lambda: _complete(address, model, left(COMPLETION_TIMEOUT_S)),
        model,
        works if patience else None,
        benchmark_runs,
    )
    return {"state": state, "reason": reason, "config": label, "container": container_id}


def _unit(name: str) -> dict[str, str]:
    properties = "ActiveState,SubState,Result"
    result = _run(["systemctl", "show", "--property", properties, name])
    pairs = (line.split("=", 1) for line in result.splitlines() if "=" in line)
    return dict(pairs)


def _container(name: str) -> tuple[str, str, int]:
    """Id, our label and first process of the running container; empty when there is none."""
    try:
        (found,) = json.loads(_run(["docker", "inspect", "--type", "container", name]))
        if not found["State"]["Running"]:
            return "", "", 0
        label = (found["Config"]["Labels"] or {}).get("rocminfra.config", "")
        return found["Id"], label, int(found["State"].get("Pid") or 0)
    except (AttributeError, KeyError, TypeError, ValueError):
        return "", "", 0  # no document of a container


def _listeners(port: int, first: int) -> list[int]:
    """Processes that own the sockets that listen on the port, one for each socket.

    + first: where to begin; most often it or a child of it owns them all, and no other process has
      to be looked at (a host has hundreds, each with as many open files)
    """
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue
        for fields in (line.split() for line in lines):
            if fields[3] == LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    owners = []
    for pid in sorted(_pids(), key=lambda pid: (pid < first, pid)):
        if not inodes:
            break
        found = inodes.intersection(_sockets(pid))
        if found:
            owners.append(pid)
            inodes -= found
    return owners


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def benchmark_runs(folder: str = ACTIVE_UNITS) -> bool:
    """Whether a benchmark's unit is active."""
    try:
        return any(name.startswith(_BENCHMARK) for name in os.listdir(folder))
    except OSError:
        return False


def _sockets(pid: int) -> Iterable[str]:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            yield os.readlink(f"{folder}/{name}")
        except OSError:
            continue


def _container_of(pid: int, container_id: str) -> str:
    """The container's id when ``pid`` lives in its control group, else an empty text."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            return container_id if container_id and container_id in file.read() else ""
    except OSError:
        return ""


def _work(address: tuple[str, int]) -> list[bytes] | None:
    """Counters of the engine's tokens; None when it does not say them at once."""
    try:
        return _WORK.findall(_exchange(address, "GET", "/metrics", b"", 1.0)[1])
    except (OSError, ValueError):
        return None


def _models(address: tuple[str, int], timeout_s: float = 10.0) -> list[str]:
    document = _request(address, "/v1/models", None, timeout_s)
    try:
        return [str(item["id"]) for item in document["data"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no list of models: {error!r}") from error


def _complete(address: tuple[str, int], model: str, timeout_s: float = COMPLETION_TIMEOUT_S) -> str:
    body = {"model": model, "prompt": "ready?", "max_tokens": 1, "temperature": 0}
    document = _request(address, "/v1/completions", body, timeout_s)
    try:
        tokens, text = int(document["usage"]["completion_tokens"]), document["choices"][0]["text"]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"no completion in the answer: {error!r}") from error
    if tokens < 1:
        raise ValueError("an empty completion came back")
    return str(text)


def _request(
    address: tuple[str, int], path: str, body: dict[str, Any] | None, timeout_s: float
) -> Any:
    data = b"" if body is None else json.dumps(body).encode()
    method = "GET" if body is None else "POST"
    status, answer = _exchange(address, method, path, data, timeout_s)
    if status != 200:
        raise ValueError(f"HTTP {status}: {answer[:300].decode(errors='replace')}")
    return json.loads(answer)


def _exchange(
    address: tuple[str, int], method: str, path: str, body: bytes, timeout_s: float
) -> tuple[int, bytes]:
    """Status and body of one HTTP request; OSError or ValueError when there is no whole answer.

    HTTP/1.0: the server closes the connection after its answer, or has said how long that is.
    """
    lines = [f"{method} {path} HTTP/1.0", "Host: localhost", "Connection: close"]
    lines.append("Content-Type: application/json")
    key = os.environ.get("VLLM_API_KEY")
    if key:
        lines.append(f"Authorization: Bearer {key}")
    request = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
    received = b""
    deadline = time.monotonic() + timeout_s
    with socket.create_connection(address, timeout_s) as connection:
        connection.sendall(request)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or len(received) > MOST_BYTES:
                raise TimeoutError("no end of the answer")
            connection.settimeout(left)
            part = connection.recv(1 << 20)
            received += part
            if not part or _is_whole(received):
                return _parsed(received)


def _is_whole(received: bytes) -> bool:
    head, end, content = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return bool(end) and length is not None and len(content) >= int(length[1])


def _parsed(received: bytes) -> tuple[int, bytes]:
    head, _, content = received.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3})\b", head)
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    if status is None or (length is not None and len(content) < int(length[1])):
        raise ValueError(f"half an answer: {received[:80]!r}")
    if re.search(rb"(?im)^transfer-encoding: *chunked", head):  # some servers do so even in 1.0
        whole, size = b"", -1
        while size:
            line, _, content = content.partition(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if len(content) < size:
                raise ValueError("half an answer, in chunks")
            whole, content = whole + content[:size], content[size + 2 :]
        content = whole
    return int(status[1]), content


def _log(unit: str) -> list[str]:
    text = _run(["journalctl", "--unit", unit, "--lines", "20", "--no-pager", "--output", "cat"])
    return text.splitlines()


def _run(command: list[str]) -> str:
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout if result.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
