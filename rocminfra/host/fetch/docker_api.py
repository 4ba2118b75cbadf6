"""A pull as Docker's daemon reports it: bytes a layer, which its client shows on terminals only.

``POST /images/create`` of https://docs.docker.com/reference/api/engine/. The login of a registry is
taken from where ``docker login`` put it, and goes to the daemon only.

Standard library only, in Python 3.8's syntax.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import queue
import socket
import subprocess
import threading
import time
import urllib.parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rocminfra.host.fetch.supervised import Patience, Status

SOCKET = "/var/run/docker.sock"
_HUB = "https://index.docker.io/v1/"
_DENIED = (
    *("denied", "unauthorized", "authentication required", "no basic auth credentials"),
    "forbidden",
)
_ABSENT = (
    *("not found", "manifest unknown", "no such host", "does not exist", "invalid reference"),
    # Of a repository, and of an image that is there for other machines.
    *("name unknown", "no matching manifest"),
)
_LINE_BYTES = 65536


def pull(reference: str, status: Status, patience: Patience) -> tuple[int, str, str]:
    """Pull an image once.

    Bytes that have arrived, and kind and words of a failure; empty ones when there is none.
    """
    name, tag = split(reference)
    query = urllib.parse.urlencode({"fromImage": name, "tag": tag})
    connection = _Docker()
    layers: dict[str, int] = {}
    try:
        headers = {"X-Registry-Auth": _login(name), "Content-Length": "0"}
        connection.request("POST", f"/images/create?{query}", headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            said = _message(answer.read(_LINE_BYTES))
            return 0, _kind(said), said
        return _follow(answer, layers, status, patience)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return sum(layers.values()), "failed", f"Docker does not go on with the pull: {error}"
    finally:
        connection.close()


def split(reference: str) -> tuple[str, str]:
    """Name and tag, or digest, of an image."""
    name, at, digest = reference.partition("@")
    head, colon, tag = name.rpartition(":")
    is_tagged = bool(colon) and "/" not in tag
    if at:
        return (head if is_tagged else name), digest
    return (head, tag) if is_tagged else (name, "latest")


def _follow(
    answer: http.client.HTTPResponse, layers: dict[str, int], status: Status, patience: Patience
) -> tuple[int, str, str]:
    lines: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_read, args=(answer, lines), daemon=True).start()
    since, known = time.monotonic(), b""
    while True:
        silent = time.monotonic() - since
        if silent >= patience.stall_s:
            return sum(layers.values()), "stalled", f"nothing has arrived for {silent:.0f} s"
        if silent >= 10:
            status.say(note=f"nothing has arrived for {silent:.0f} s")
        try:
            line = lines.get(timeout=patience.look_s)
        except queue.Empty:
            continue
        if line is None:
            return sum(layers.values()), "", ""
        event = json.loads(line) if line.strip() else {}
        if "error" in event:
            said = str(event["error"])
            return sum(layers.values()), _kind(said), said
        _count(event, layers)
        # The same words again are no progress.
        if line != known:
            known, since = line, time.monotonic()
            status.say(done=sum(layers.values()), note="")


def _read(answer: http.client.HTTPResponse, lines: queue.Queue[bytes | None]) -> None:
    """Hand on what Docker says, a line each, and None at the end."""
    try:
        for line in answer:
            lines.put(line)
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        pass  # who waits for it has given up, or sees that the image is not there
    lines.put(None)


def _count(event: dict[str, Any], layers: dict[str, int]) -> None:
    detail, layer = event.get("progressDetail") or {}, str(event.get("id", ""))
    if event.get("status") == "Downloading" and "current" in detail:
        layers[layer] = max(layers.get(layer, 0), int(detail["current"]))
    elif event.get("status") == "Extracting" and "total" in detail:
        layers[layer] = max(layers.get(layer, 0), int(detail["total"]))


def _kind(said: str) -> str:
    words = said.lower()
    if any(word in words for word in _DENIED):
        return "denied"
    return "absent" if any(word in words for word in _ABSENT) else "failed"


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, TypeError, KeyError):
        return body.decode("utf-8", "replace")[:500]


def _login(name: str) -> str:
    """What the daemon is told of the registry's login; base64 of an empty object for none."""
    first = name.split("/")[0]
    is_registry = "/" in name and ("." in first or ":" in first or first == "localhost")
    server = first if is_registry else _HUB
    return base64.urlsafe_b64encode(json.dumps(_credentials(server)).encode()).decode()


def _credentials(server: str) -> dict[str, str]:
    home = os.environ.get("DOCKER_CONFIG") or os.path.join(
        os.environ.get("HOME") or "/root", ".docker"
    )
    try:
        with open(os.path.join(home, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        helper = (config.get("credHelpers") or {}).get(server) or config.get("credsStore")
        if helper:
            done = subprocess.run(
                [f"docker-credential-{os.path.basename(helper)}", "get"],
                input=server.encode(),
                stdout=subprocess.PIPE,
                timeout=30,
                check=True,
            )
            found = json.loads(done.stdout)
            user, secret = str(found["Username"]), str(found["Secret"])
            if user == "<token>":
                return {"identitytoken": secret, "serveraddress": server}
        else:
            entry = (config.get("auths") or {})[server]
            if entry.get("identitytoken"):
                return {"identitytoken": entry["identitytoken"], "serveraddress": server}
            user, _, secret = base64.b64decode(entry["auth"]).decode().partition(":")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, subprocess.SubprocessError):
        return {}
    return {"username": user, "password": secret, "serveraddress": server}


class _Docker(http.client.HTTPConnection):
    """HTTP over the daemon's socket."""

    def __init__(self) -> None:
        super().__init__("docker")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(SOCKET)
