"""Dockers that run on a host without docker.service, and what the socket of Docker is, as JSON.

A snap, one that a user runs for itself, one that was started by hand: each would be in the way of
docker.service, or it in theirs. Those in containers are no matter. Reads only, and connects to
nothing: whoever connects may start what is off.

Standard library only, and no single quote in it: this file is sent to the host as it is.
"""

from __future__ import annotations

import glob
import json
import os
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNIT = "docker.service"
SOCKET = "/run/docker.sock"
PROC = "/proc"
# Of a line in /proc/net/unix: somebody listens (__SO_ACCEPTCON in linux/net.h).
LISTENS = 0x10000
# A dockerd that is asked something and ends.
QUESTIONS = ("--validate", "--version", "-v", "--help", "-h")


def main() -> None:
    """Print what is there; see above."""
    daemons = daemons_but(main_of(UNIT))
    print(
        json.dumps(
            {
                "daemons": daemons,
                "socket": os.path.realpath(SOCKET) if os.path.islink(SOCKET) else "",
                "is_taken": not daemons and is_taken(),
            },
            sort_keys=True,
        )
    )


def daemons_but(own: str) -> list[dict[str, Any]]:
    """Every dockerd that is neither the process ``own`` nor in a container."""
    found = []
    for folder in sorted(glob.glob(os.path.join(PROC, "[0-9]*"))):
        pid = os.path.basename(folder)
        words = arguments_of(pid)
        if pid == own or not words or os.path.basename(words[0]) != "dockerd":
            continue
        status = dict(
            line.split(":", 1)
            for line in (read(os.path.join(folder, "status")) or "").splitlines()
            if ":" in line
        )
        # More than one number: it is in a namespace of processes below this one.
        if not status or len(status.get("NSpid", "").split()) > 1 or set(QUESTIONS) & set(words):
            continue
        group = cgroup_of(read(os.path.join(folder, "cgroup")) or "")
        if group.endswith("/system.slice/" + UNIT):
            continue
        found.append(
            {
                "pid": int(pid),
                "user": int(status["Uid"].split()[0]),
                "unit": unit_of(group),
                "is_units": main_of(unit_of(group)) == pid,
                "hosts": values_of(words, ("--host", "-H")),
                "data_root": real((values_of(words, ("--data-root", "--graph", "-g")) or [""])[-1]),
            }
        )
    return found


def main_of(unit: str) -> str:
    """The process that a unit is there for; empty when there is none."""
    if not unit.endswith(".service"):
        return ""
    return run(["systemctl", "show", "--property", "MainPID", "--value", unit]).strip()


def values_of(words: list[str], names: tuple[str, ...]) -> list[str]:
    """What a flag is given: after ``=``, as the next word, or at once after its short name."""
    values = []
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            values.append(value if equals else "".join(words[index + 1 : index + 2]))
        elif word[:2] in names:
            values.append(word[2:].lstrip("="))
    return values


def real(path: str) -> str:
    """A path with links followed; none stays none."""
    return os.path.realpath(path) if path else ""


def arguments_of(pid: str) -> list[str]:
    """Words that a process was started with; empty when there is none."""
    text = read(os.path.join(PROC, pid, "cmdline")) if pid.isdigit() else None
    return (text or "").rstrip("\0").split("\0") if text else []


def cgroup_of(text: str) -> str:
    """The path that systemd has given a process, of what the kernel lists."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "name=systemd"):
            return path
    return ""


def unit_of(group: str) -> str:
    """The innermost unit of a path of cgroups; empty when there is none."""
    parts = [part for part in group.split("/") if part.endswith((".service", ".scope"))]
    return parts[-1] if parts else ""


def is_taken() -> bool:
    """Whether somebody listens at the socket, and it is not systemd for docker.service."""
    if "active" in run(["systemctl", "is-active", "docker.socket", UNIT]).split():
        return False
    for line in (read(os.path.join(PROC, "net/unix")) or "").splitlines()[1:]:
        fields = line.split()
        is_it = fields[7:8] in (["/var" + SOCKET], [SOCKET])
        if is_it and int(fields[3], 16) & LISTENS:
            return True
    return False


def read(path: str) -> str | None:
    """A text file, or None when there is none."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def run(command: list[str]) -> str:
    """What a program prints; empty when there is no such program."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, errors="replace", check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


if __name__ == "__main__":
    main()
