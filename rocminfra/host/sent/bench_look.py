"""What decides whether a benchmark can begin, as one JSON document.

    bench_look.py REQUEST     REQUEST is a JSON object: runs, run, environment, marker, address,
                              port, model, unit, files

One look: the engine (its models, its load, one token), other benchmarks, disks, the environment of
GuideLLM. Reads only, but for that one token. What cannot be read is null.

Standard library only, and no single quote in it: this file is sent to the host as it is.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import subprocess
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODELS_TIMEOUT_S = 5.0
COMPLETION_TIMEOUT_S = 10.0
# Two looks so far apart tell a single request that is just ending from a load.
PAUSE_S = 1.0
MOST_BYTES = 16 << 20
RUNNING = "vllm:num_requests_running"
WAITING = "vllm:num_requests_waiting"
LETTER = "a"


def main(request: dict[str, Any]) -> None:
    """Print the document."""
    busy_with = lock_holder(request["runs"] + "/lock")
    run = run_state(request["runs"], request["run"])
    engine = look_at_engine(
        request["address"], int(request["port"]), request["model"], busy_with is not None
    )
    document = {
        "engine": engine,
        "unit": unit_state(request["unit"]),
        "busy_with": busy_with,
        "run": run,
        "environment": text_of(request["environment"] + "/" + request["marker"]),
        "disks": {
            "runs": free_space(request["runs"]),
            "environment": free_space(request["environment"]),
        },
        "missing_files": [path for path in request["files"] if not os.path.exists(path)],
        "empty_files": [path for path in request["files"] if is_empty(path)],
    }
    print(json.dumps(document, sort_keys=True))


def is_empty(path: str) -> bool:
    """Whether a file or folder holds nothing."""
    try:
        return not (os.listdir(path) if os.path.isdir(path) else os.path.getsize(path))
    except OSError:
        return False


def lock_holder(path: str) -> str | None:
    """Name of the benchmark that holds the host, or None."""
    try:
        with open(path, encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return lock.read().strip() or "unknown"
    except OSError:
        return None
    return None


def run_state(runs: str, run: str) -> dict[str, Any] | None:
    """Progress of a run that this host knows, or None."""
    if not os.path.exists(runs + "/" + run + "/job.json"):
        return None
    try:
        with open(runs + "/" + run + "/status.json", encoding="utf-8") as file:
            status = json.load(file)
        return {
            "state": status["state"],
            "planned": status["planned"],
            "valid": sum(point["outcome"] == "valid" for point in status["points"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {"state": "none", "planned": 0, "valid": 0}


def look_at_engine(address: str, port: int, model: str, is_in_use: bool) -> dict[str, Any]:
    """What answers on the port.

    + is_in_use: by a benchmark; then neither its load is judged nor a token asked for
    """
    found: dict[str, Any] = {
        "problem": None,
        "detail": "",
        "models": None,
        "load": None,
        "token": None,
        "template": None,
    }
    status, answer = exchange(address, port, "GET", "/v1/models", None, MODELS_TIMEOUT_S)
    if status != 200:
        found["problem"], found["detail"] = status, answer
        if isinstance(status, int):
            said = " ".join(answer.split())[:200]
            found["problem"], found["detail"] = "status", f"HTTP {status}: {said}"
        return found
    try:
        found["models"] = [
            {"id": str(item["id"]), "max_model_len": item.get("max_model_len")}
            for item in json.loads(answer)["data"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        found["problem"], found["detail"] = "other", answer[:200]
        return found
    if is_in_use or model not in [item["id"] for item in found["models"]]:
        return found
    found["load"] = load(address, port)
    if found["load"] and sum(found["load"]) > 0:
        time.sleep(PAUSE_S)
        again = load(address, port)
        found["load"] = [min(pair) for pair in zip(found["load"], again)] if again else None
    if not found["load"] or sum(found["load"]) == 0:
        found["token"], found["template"] = token(address, port, model)
    return found


def load(address: str, port: int) -> list[float] | None:
    """Requests that run and that wait, or None when the engine does not say."""
    status, answer = exchange(address, port, "GET", "/metrics", None, MODELS_TIMEOUT_S)
    if status != 200:
        return None
    sums = {RUNNING: 0.0, WAITING: 0.0}
    seen = set()
    for line in answer.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in sums:
            try:
                sums[name] += float(line.rpartition(" ")[2])
                seen.add(name)
            except ValueError:
                return None
    return [sums[RUNNING], sums[WAITING]] if RUNNING in seen else None


def token(address: str, port: int, model: str) -> tuple[str, int | None]:
    """Ask for one token, as a chat if the model can: what came instead, empty when it came; and
    how many tokens the chat template has, or None when nobody says."""
    asked: dict[str, Any] = {"model": model, "max_tokens": 1, "temperature": 0}
    chat = {**asked, "messages": [{"role": "user", "content": LETTER}]}
    status, answer = post(address, port, "/v1/chat/completions", chat)
    if status == 200:
        return "", template_tokens(answer)
    if isinstance(status, int):
        status, answer = post(address, port, "/v1/completions", {**asked, "prompt": "ready?"})
    return no_token(status, answer), None


def template_tokens(answer: str) -> int | None:
    """What a prompt has besides its only letter, which is one token."""
    try:
        return max(0, int(json.loads(answer)["usage"]["prompt_tokens"]) - 1)
    except (ValueError, KeyError, TypeError):
        return None


def post(address: str, port: int, path: str, body: dict[str, Any]) -> tuple[int | str, str]:
    """Status and text of the answer to a request for tokens."""
    return exchange(address, port, "POST", path, json.dumps(body).encode(), COMPLETION_TIMEOUT_S)


def no_token(status: int | str, answer: str) -> str:
    """Why no token came; empty when it came."""
    if status == 200:
        return ""
    if isinstance(status, int):
        return "HTTP {}: {}".format(status, " ".join(answer.split())[:200])
    if status == "timeout":
        return f"no token within {COMPLETION_TIMEOUT_S:.0f} s"
    return answer


def exchange(
    address: str, port: int, method: str, path: str, body: bytes | None, timeout_s: float
) -> tuple[int | str, str]:
    """Status and text of an answer; a word and a reason instead when there is none.

    The whole of it has a deadline: a server that sends a byte now and then must not hold this up.
    """
    headers = {"Content-Type": "application/json", "Connection": "close"}
    key = os.environ.get("VLLM_API_KEY")
    if key:
        headers["Authorization"] = "Bearer " + key
    deadline = time.monotonic() + timeout_s
    connection = http.client.HTTPConnection(address, port, timeout=timeout_s)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        received = b""
        while len(received) < MOST_BYTES:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if connection.sock is not None:
                connection.sock.settimeout(left)
            part = answer.read1(1 << 16)
            if not part:
                break
            received += part
        return answer.status, received.decode("utf-8", "replace")
    except (TimeoutError, socket.timeout):  # noqa: UP041, two before Python 3.10
        return "timeout", f"no answer within {timeout_s:.0f} s"
    except ConnectionRefusedError:
        return "refused", f"nothing listens on {address}:{port}"
    except (OSError, http.client.HTTPException) as error:
        return "other", f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def unit_state(unit: str) -> dict[str, str]:
    """State of the engine unit; empty where systemd does not say."""
    command = ["systemctl", "show", "--property", "LoadState,ActiveState,SubState,Result", unit]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def free_space(path: str) -> dict[str, Any] | None:
    """Free bytes and files of the file system that ``path`` is, or would be, on."""
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return {
        "path": path,
        "bytes": found.f_bavail * found.f_frsize,
        # File systems that make inodes as they go say 0.
        "files": found.f_favail if found.f_files else None,
        "read_only": bool(found.f_flag & os.ST_RDONLY),
    }


def text_of(path: str) -> str | None:
    """A short text file, or None."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(4096).strip()
    except OSError:
        return None


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
