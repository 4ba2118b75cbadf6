"""What a machine is still busy with after its first boot, as one JSON document.

Reads only, and takes no lock: the kernel is asked who holds those of apt. What cannot be read is
``null`` or left out, never guessed.

Standard library only, and no single quote in it: this file is sent to the host as it is.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLOUD_INIT_RESULT = "/run/cloud-init/result.json"
DOCKER = "/run/docker.sock"
# systemd keeps a link here for every unit that is active.
ACTIVE_UNITS = "/run/systemd/units"
# Where settings, programs, packages and the record of what was made go.
WRITTEN = ("/etc", "/usr/local", "/var/lib")
REBOOT = "/run/reboot-required"
LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)
# struct flock of 64-bit Linux: type, whence, start, length, pid.
_FLOCK = "hhqqi"
_TIMEOUT_S = 8
_MOST_BYTES = 16 << 20
_GPU_PATHS = ("/dev/kfd", "/dev/dri")
_LISTEN = "0A"


def main() -> None:
    print(
        json.dumps(
            {
                "cloud_init": cloud_init(),
                "apt": apt_holders(),
                "reboot": reboot(),
                "containers": containers(),
                "listening": listening(),
                "read_only": read_only(),
            }
        )
    )


def cloud_init() -> dict[str, Any]:
    """Its own word (``running``, ``done``, ``error``, …), ``none`` without one."""
    if os.path.exists(CLOUD_INIT_RESULT):
        try:
            with open(CLOUD_INIT_RESULT) as file:
                errors = json.load(file)["v1"]["errors"]
            return {"status": "error" if errors else "done", "errors": [str(e) for e in errors]}
        except (OSError, ValueError, KeyError, TypeError):
            return {"status": "done", "errors": []}
    if shutil.which("cloud-init") is None:
        return {"status": "none", "errors": []}
    code, said = run(["cloud-init", "status"])
    if code is None:
        return {"status": "unknown", "errors": []}
    # Newer ones may warn before it.
    found = [line for line in said.splitlines() if line.startswith("status:")]
    status = found[0][len("status:") :].strip() if found else ""
    return {"status": status or "unknown", "errors": []}


def apt_holders() -> list[dict[str, Any]]:
    """Processes that hold locks of apt or dpkg."""
    found: dict[int, dict[str, Any]] = {}
    for path in LOCKS:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(
                _FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked)
            )
        except OSError:
            continue
        finally:
            os.close(descriptor)
        if kind != fcntl.F_UNLCK:
            found.setdefault(pid, {"pid": pid, "command": command_of(pid), "lock": path})
    return [found[pid] for pid in sorted(found)]


def command_of(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        return words[:200] or None
    except OSError:
        return None


def reboot() -> list[str] | None:
    """Packages that ask for a reboot; null when none is pending."""
    if not os.path.exists(REBOOT):
        return None
    try:
        with open(REBOOT + ".pkgs") as file:
            return sorted({line.strip() for line in file if line.strip()})
    except OSError:
        return []


def containers() -> list[dict[str, Any]]:
    """Running containers: name, image, labels, published ports, and whether they have the GPU."""
    found = docker("/containers/json")
    numbers = [item.get("Id") for item in found or [] if isinstance(item, dict)]
    documents = [docker(f"/containers/{number}/json") for number in numbers]
    return [container(document) for document in documents if isinstance(document, dict)]


def docker(path: str) -> Any:
    """An answer of Docker; null when there is none. Its own program takes ten times as long."""
    if not os.path.exists(DOCKER) or would_start():
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(_TIMEOUT_S)
        connection.connect(DOCKER)
        # Version 1.0: the answer ends with the connection, and comes in one piece.
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        answer = b""
        while len(answer) < _MOST_BYTES:
            piece = connection.recv(65536)
            if not piece:
                break
            answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        return json.loads(body) if head.split()[1:2] == [b"200"] else None
    except (OSError, ValueError):
        return None
    finally:
        connection.close()


def would_start() -> bool:
    """Whether opening the socket starts what is off: systemd holds it, or it leads to podman."""
    if is_unit_active("docker.service"):
        return False
    return is_unit_active("docker.socket") or os.path.islink(DOCKER)


def is_unit_active(unit: str) -> bool:
    return os.path.lexists(os.path.join(ACTIVE_UNITS, f"invocation:{unit}"))


def container(document: dict[str, Any]) -> dict[str, Any]:
    config = document.get("Config") or {}
    host = document.get("HostConfig") or {}
    devices = [str(item.get("PathOnHost")) for item in host.get("Devices") or []]
    ports: set[int] = set()
    for bindings in ((document.get("NetworkSettings") or {}).get("Ports") or {}).values():
        for binding in bindings or []:
            if str(binding.get("HostPort", "")).isdigit():
                ports.add(int(binding["HostPort"]))
    return {
        "name": str(document.get("Name", "")).lstrip("/"),
        "image": str(config.get("Image", "")),
        "labels": sorted(config.get("Labels") or {}),
        "ports": sorted(ports),
        "host_network": host.get("NetworkMode") == "host",
        "gpu": bool(host.get("Privileged")) or any(d.startswith(_GPU_PATHS) for d in devices),
    }


def listening() -> list[int]:
    """TCP ports that somebody listens on."""
    found: set[int] = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path) as file:
                rows = [line.split() for line in file][1:]
        except OSError:
            continue
        found |= {int(row[1].rsplit(":", 1)[1], 16) for row in rows if row[3] == _LISTEN}
    return sorted(found)


def read_only() -> list[str]:
    """Folders that work on this machine needs, and that are mounted for reading only."""
    found = []
    for path in WRITTEN:
        try:
            if os.statvfs(path).f_flag & os.ST_RDONLY:
                found.append(path)
        except OSError:
            continue
    return found


def run(command: list[str]) -> tuple[int | None, str]:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None, ""
    return done.returncode, done.stdout.decode("utf-8", "replace")


if __name__ == "__main__":
    main()
