"""The benchmark runs that a host knows, newest first, as one JSON list.

    bench_runs.py FOLDER     FOLDER holds all runs

Reads only. A run whose files cannot be read is listed by its name.

Standard library only, and no single quote in it: this file is sent to the host as it is.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9a-f]{6})?")


def main(folder: str) -> None:
    """Print the list."""
    try:
        names = [
            name
            for name in os.listdir(folder)
            # Such a run never began: another one held the host.
            if NAME.fullmatch(name) and not os.path.exists(folder + "/" + name + "/refused")
        ]
    except FileNotFoundError:
        names = []
    print(json.dumps([described(folder, name) for name in sorted(names, reverse=True)]))


def described(folder: str, name: str) -> dict[str, Any]:
    """What is known of a run."""
    path = folder + "/" + name
    status, job = document(path + "/status.json"), document(path + "/job.json")
    state = status.get("state", "none")
    if state == "running" and not is_held(path + "/lock"):
        state = "died"
    points = status.get("points") or []
    return {
        "run": name,
        "state": state,
        "scenario": (job.get("scenario") or {}).get("name"),
        "planned": int(status.get("planned") or 0),
        "points": len(points),
        "valid": sum(point.get("outcome") == "valid" for point in points),
        "current": status.get("current"),
        "began": modified(path + "/job.json"),
        "changed": modified(path + "/status.json"),
    }


def document(path: str) -> dict[str, Any]:
    """A JSON object of a file; empty when there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_held(path: str) -> bool:
    """Whether any process holds the lock file."""
    try:
        with open(path, encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def modified(path: str) -> float | None:
    """Unix time at which a file was written, or None."""
    try:
        return round(os.stat(path).st_mtime, 3)
    except OSError:
        return None


if __name__ == "__main__":
    main(sys.argv[1])
