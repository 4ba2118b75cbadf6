"""What a program and all that it has started have received over TCP, by what the kernel counts.

Finer than files: a downloader may write 10 MB at once, and on a slow line that is minutes. Payload
only, so that a connection that is merely kept alive counts for nothing (``tcpi_bytes_received``,
tcp(7), as ss(8) of iproute2 prints it).

Standard library only, in Python 3.8's syntax.
"""

from __future__ import annotations

import os
import re
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_SS = ("ss", "--tcp", "--info", "--numeric", "--processes", "--oneline", "--no-header")
_ANSWER_S = 10
_PID = re.compile(r"pid=(\d+)")
_RECEIVED = re.compile(r"\bbytes_received:(\d+)")


def received(group: int) -> dict[str, int]:
    """Bytes that have arrived so far, by connection; empty where nothing tells.

    + group: process group
    """
    members = _members(group)
    try:
        done = subprocess.run(
            _SS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_ANSWER_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    found = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        words = line.split()
        count = _RECEIVED.search(line)
        if count is None or len(words) < _ADDRESSES:
            continue
        if not members.isdisjoint(map(int, _PID.findall(line))):
            found[f"{words[3]} {words[4]}"] = int(count[1])
    return found


# State, two queues, and both ends.
_ADDRESSES = 5


def more(now: Mapping[str, int], before: Mapping[str, int]) -> int:
    """By how much the connections have grown; one that is new counts whole."""
    return sum(max(0, count - before.get(name, 0)) for name, count in now.items())


def _members(group: int) -> set[int]:
    """Processes of a group (``stat`` of proc(5); the name may hold anything)."""
    found = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:  # gone at this moment
            continue
        if int(fields[2]) == group:
            found.add(int(name))
    return found
