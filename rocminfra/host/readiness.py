"""Tell whether the engine serves, as one JSON object on stdout.

    python3 readiness.py --unit vllm.service --container NAME --port 8000 --model NAME [--wait 20]

Ready means: the unit's own container owns the port, the served model is the declared one, and a
real completion came back. ``/health`` alone proves little: a hung engine still answers 200, and
with SO_REUSEPORT a stale server may hold the same port.

States: ``ready``, ``loading`` (keep waiting), ``wrong`` (something else answers), ``dead`` (the
unit failed or is not running). The exit code is 0 whatever the state: the JSON is the answer.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

LISTEN = "0A"  # state of a listening socket in /proc/net/tcp (include/net/tcp_states.h)
COMPLETION_TIMEOUT_S = 60.0

Answer = dict[str, Any]


def verdict(
    unit: dict[str, str],
    owners: Iterable[str],
    container: str,
    models: Callable[[], list[str]],
    complete: Callable[[], str],
    model: str,
) -> tuple[str, str]:
    """State and reason, asking no more than is needed.

    + unit: properties of the systemd unit (``ActiveState``, ``SubState``, ``Result``)
    + owners: ids of the containers that own the listening sockets; "" for a process in none
    + container: id of the unit's container, "" when it is not running
    + models: asks the server for its models; raises OSError when it does not answer
    + complete: asks for one token; raises OSError or ValueError when none comes
    + model: name of the declared model
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
        return "loading", f"the server does not answer yet: {error}"
    if model not in served:
        return "wrong", f"serves {', '.join(served) or 'nothing'} instead of {model}"
    try:
        complete()
    except (OSError, ValueError) as error:
        return "loading", f"no completion yet: {error}"
    return "ready", ""


def main(arguments: list[str]) -> int:
    """Look until the engine is ready, wrong or dead, or ``--wait`` seconds are over."""
    parser = argparse.ArgumentParser(description="is the engine ready?")
    parser.add_argument("--unit", required=True)
    parser.add_argument("--container", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--wait", type=float, default=0.0, help="seconds to wait at most")
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + options.wait
    while True:
        answer = observe(options.unit, options.container, options.port, options.model)
        if answer["state"] != "loading" or time.monotonic() >= deadline:
            break
        time.sleep(0.5)
    if answer["state"] != "ready":
        answer["log"] = _log(options.unit)
    print(json.dumps(answer, sort_keys=True))
    return 0


def observe(unit_name: str, container_name: str, port: int, model: str) -> Answer:
    """One look at unit, container, port and server."""
    unit = _unit(unit_name)
    container_id, label = _container(container_name)
    base = f"http://127.0.0.1:{port}"
    owners = [_container_of(pid, container_id) for pid in _listeners(port)]
    state, reason = verdict(
        unit,
        owners,
        container_id,
        lambda: _models(base),
        lambda: _complete(base, model),
        model,
    )
    return {"state": state, "reason": reason, "config": label, "container": container_id}


def _unit(name: str) -> dict[str, str]:
    properties = "ActiveState,SubState,Result"
    result = _run(["systemctl", "show", "--property", properties, name])
    pairs = (line.split("=", 1) for line in result.splitlines() if "=" in line)
    return dict(pairs)


def _container(name: str) -> tuple[str, str]:
    form = '{{.Id}} {{.State.Running}} {{index .Config.Labels "rocminfra.config"}}'
    fields = _run(["docker", "inspect", "--type", "container", "--format", form, name]).split()
    if len(fields) < 2 or fields[1] != "true":
        return "", ""
    return fields[0], fields[2] if len(fields) > 2 else ""


def _listeners(port: int) -> list[int]:
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
    return [pid for pid in _pids() if inodes & set(_sockets(pid))] if inodes else []


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


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


def _models(base: str) -> list[str]:
    document = _request(f"{base}/v1/models", None, 10.0)
    return [str(item["id"]) for item in document["data"]]


def _complete(base: str, model: str) -> str:
    body = {"model": model, "prompt": "ready?", "max_tokens": 1, "temperature": 0}
    document = _request(f"{base}/v1/completions", body, COMPLETION_TIMEOUT_S)
    if int(document["usage"]["completion_tokens"]) < 1:
        raise ValueError("an empty completion came back")
    return str(document["choices"][0]["text"])


def _request(url: str, body: dict[str, Any] | None, timeout_s: float) -> Any:
    headers = {"Content-Type": "application/json"}
    key = os.environ.get("VLLM_API_KEY")
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    # Proxy variables must not send a request for the loopback elsewhere.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_s) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise ValueError(
            f"HTTP {error.code}: {error.read(300).decode(errors='replace')}"
        ) from error
    except (KeyError, TypeError) as error:
        raise ValueError(f"unexpected answer: {error}") from error


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
