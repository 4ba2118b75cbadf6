"""Allow one run at a time on a host. Prints one JSON object on stdout.

    echo '{"token": "T", "owner": "alice@laptop", "command": "rocminfra apply"}' |
        python3 run_lock.py take FILE
    echo '{"token": "T"}' | python3 run_lock.py free FILE

The record is read from stdin: arguments are visible to every user of the host, and sudo logs them.
Only its owner can read the lock file.

The lock records the process that holds it: the SSH connection's sshd, found among this program's
ancestors. When that process is gone, the lock is stale, no matter who took it and from where, so a
killed run does not block others. The file always exists; it is empty while the lock is free, and
flock(2) guards every read and write.

Standard library only: this file is copied to the host as it is, or piped into python3.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Record = dict[str, Any]

# Runs this file, with the rest of stdin as its input: python3 -c LAUNCHER LENGTH_IN_BYTES take FILE
LAUNCHER = "import sys; exec(sys.stdin.buffer.read(int(sys.argv.pop(1))))"


def take(path: Path, record: Record, running: Callable[[Record], bool]) -> Record:
    """Take the lock if it is free or its holder is gone.

    + path: the lock file; its folder is created
    + record: who takes it; ``token`` identifies the holder
    + running: tells whether a holder is still running

    Returns ``{"taken": bool, "holder": record or None}``. The holder is the one that has the lock
    or, if a stale lock was taken over, the previous one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8", opener=_private) as file:
        # Earlier versions may have created a world-readable file.
        os.fchmod(file.fileno(), 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        holder = _read(file)
        if holder is not None and holder.get("token") != record["token"] and running(holder):
            return {"taken": False, "holder": holder}
        _write(file, json.dumps(record))
        return {"taken": True, "holder": holder}


def free(path: Path, token: str) -> Record:
    """Release the lock, unless another run holds it."""
    if not path.exists():
        return {"freed": False}
    with open(path, "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        holder = _read(file)
        if holder is None or holder.get("token") != token:
            return {"freed": False}
        _write(file, "")
        return {"freed": True}


def is_running(holder: Record) -> bool:
    """Whether a record's process still runs and is the same process."""
    pid, start, boot = holder.get("pid"), holder.get("start"), holder.get("boot")
    return isinstance(pid, int) and boot == boot_id() and start_time(pid) == start


def holding_process(pid: int) -> int:
    """The process that lives as long as the connection: the nearest sshd ancestor of ``pid``.

    Without one (no SSH connection), it is the topmost process below init.
    """
    topmost = pid
    while pid > 1:
        status = _status(pid)
        if status is None:
            break
        name, parent = status[0], int(status[2])
        if name.startswith("sshd"):
            return pid
        topmost, pid = pid, parent
    return topmost


def start_time(pid: int) -> str | None:
    """Start of a process in clock ticks since boot (proc(5), stat, field 22), or None."""
    status = _status(pid)
    return None if status is None else status[20]


def boot_id() -> str:
    """Id of this boot: PIDs from before a reboot are meaningless."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _status(pid: int) -> list[str] | None:
    """Name and later fields of /proc/PID/stat; the name may contain spaces and parentheses."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    return [name, *rest.split()]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _read(file: Any) -> Record | None:
    file.seek(0)
    try:
        record = json.loads(file.read())
    except ValueError:
        # Empty means free. Anything else was cut off during a write, so its writer is gone.
        return None
    return record if isinstance(record, dict) else None


def _write(file: Any, text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
    os.fsync(file.fileno())


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("take", "free"))
    parser.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    request = json.loads(sys.stdin.buffer.read())
    if options.action == "free":
        print(json.dumps(free(options.file, request["token"])))
        return 0
    pid = holding_process(os.getppid())
    record = {
        "token": request["token"],
        "owner": request.get("owner", ""),
        "command": request.get("command", ""),
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "pid": pid,
        "start": start_time(pid),
        "boot": boot_id(),
    }
    print(json.dumps(take(options.file, record, is_running)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
