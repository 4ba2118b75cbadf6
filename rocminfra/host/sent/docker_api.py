"""Ask Docker over its socket, and print what of its answer is needed, as `docker inspect` would.

    python3 docker_api.py root
    python3 docker_api.py image REFERENCE
    python3 docker_api.py container NAME

Prints the data-root, or `[…]` with the needed parts of the document of the image or container in
it, `[]` when there is none, and nothing on a host without Docker. (The whole document is long, and
the order of the mounts of a container in it is another one each time.)

Ends with 1, silently, when the socket is not the whole truth (another daemon is chosen, it may not
be opened, it does not answer): then the docker program itself has to be asked, which takes ten
times as long.

Standard library only, and no single quote in it: this file is sent to the host as it is.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TIMEOUT_S = 30.0
MOST_BYTES = 16 << 20
SOCKET = "/var/run/docker.sock"
# Characters of references and names that need no escaping in a path.
PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+")


def main(arguments: list[str]) -> int:
    """Print the answer; 0, or 1 when the docker program has to be asked."""
    if not installed():
        return 0
    what = arguments[0]
    name = arguments[1] if len(arguments) > 1 else "-"
    if chosen_elsewhere() or not PLAIN.fullmatch(name) or ".." in name:
        return 1
    path = "/info" if what == "root" else f"/{what}s/{name}/json"
    try:
        status, body = get(path)
        document = json.loads(body)
    except (OSError, ValueError):
        return 1
    if not isinstance(document, dict):
        return 1
    if what == "root":
        root = document.get("DockerRootDir") if status == 200 else None
        if not root:
            return 1
        print(root)
        return 0
    if status == 200:
        print(json.dumps([parts(document)]))
        return 0
    # Any other 404 is of a daemon that does not know the question.
    if status == 404 and str(document.get("message")).lower().startswith("no such"):
        print("[]")
        return 0
    return 1


def parts(document: dict[str, Any]) -> dict[str, Any]:
    """What is needed of the document of an image or a container."""
    needed: dict[str, Any] = {
        key: document[key]
        for key in ("Id", "RepoDigests", "Image", "Os", "Architecture")
        if key in document
    }
    if "State" not in document and "Config" in document:
        needed["Config"] = {"Entrypoint": (document["Config"] or {}).get("Entrypoint")}
    if "State" in document:
        state, config = document["State"] or {}, document.get("Config") or {}
        needed["State"] = {key: state.get(key) for key in ("Running", "StartedAt")}
        needed["Config"] = {"Labels": config.get("Labels")}
    return needed


def installed() -> bool:
    """Whether there is a docker program, as a shell looks for it."""
    folders = os.environ.get("PATH", "").split(":")
    return any(os.access(os.path.join(folder, "docker"), os.X_OK) for folder in folders)


def chosen_elsewhere() -> bool:
    """Whether the environment or a context may point the docker program to another daemon."""
    if any(name.startswith("DOCKER_") for name in os.environ):
        return True
    try:
        with open(os.path.expanduser("~/.docker/config.json"), encoding="utf-8") as file:
            return "currentContext" in file.read()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True


def get(path: str) -> tuple[int, bytes]:
    """Status and body; OSError or ValueError when there is no whole answer."""
    received = b""
    deadline = time.monotonic() + TIMEOUT_S
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(SOCKET)
        # HTTP/1.0: the daemon sends the body as it is, and then closes the connection.
        request = f"GET {path} HTTP/1.0\r\nHost: docker\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or len(received) > MOST_BYTES:
                raise TimeoutError("no end of the answer")
            connection.settimeout(left)
            part = connection.recv(1 << 20)
            if not part:
                break
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3})\b", head)
    if status is None:
        raise ValueError("no HTTP")
    return int(status[1]), body


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
