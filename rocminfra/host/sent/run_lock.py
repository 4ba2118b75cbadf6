"""Allow one run at a time on a host, and keep a book of runs. Prints one JSON object on stdout.

    echo '{"token": "T", "owner": "alice@laptop", "command": "rocminfra apply"}' |
        python3 run_lock.py take FILE
    echo '{"token": "T"}' | python3 run_lock.py free FILE
    echo '{}' | python3 run_lock.py show FILE
    echo '{"owner": "alice@laptop", "reason": "its laptop is gone"}' |
        python3 run_lock.py break FILE
    echo '{"lines": 100}' | python3 run_lock.py events FILE

The book is ``events.jsonl`` beside the lock: who began what and when, how it ended, and who broke a
lock and why. ``take`` and ``break`` write their event, ``free`` the one in its request, if any.

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
import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Record = dict[str, Any]

# Beyond this many bytes the older half of the book is dropped.
BOOK_BYTES = 1000000

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


def show(path: Path, running: Callable[[Record], bool]) -> Record:
    """Who holds the lock: ``{"holder": record or None, "running": bool}``. Changes nothing."""
    try:
        with open(path, encoding="utf-8") as file:
            holder = _read(file)
    except FileNotFoundError:
        holder = None
    return {"holder": holder, "running": holder is not None and running(holder)}


def break_(path: Path, running: Callable[[Record], bool]) -> Record:
    """Take the lock from a run that holds it: ``{"broken": record or None}``.

    The run itself goes on. A lock whose run is gone needs no breaking, and is left alone.
    """
    if not path.exists():
        return {"broken": None}
    with open(path, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        holder = _read(file)
        if holder is None or not running(holder):
            return {"broken": None}
        _write(file, "")
        return {"broken": holder}


def note(lock: Path, event: Record, now: float, most: int = BOOK_BYTES) -> None:
    """Write an event into the book beside a lock, with the time.

    + most: size of the book, in bytes, from which its older half is dropped
    """
    line = json.dumps({"time": _utc(now), **event}, ensure_ascii=False) + "\n"
    with open(_book(lock), "a+", encoding="utf-8", opener=_private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if file.tell() > most:
            file.seek(0)
            lines = file.read().splitlines(True)
            _write(file, "".join(lines[len(lines) // 2 :]))
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def events(lock: Path, most: int) -> list[Record]:
    """The last events of the book; a line that was cut off is left out.

    + most: how many at most
    """
    try:
        lines = _book(lock).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            found.append(event)
    return found[max(0, len(found) - most) :]


def is_recorded(record: Path, has_docker: bool) -> bool:
    """Whether a host's record is there and knows whose Docker it is that the host has."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        return not has_docker or bool(found["before"]["docker"] or found.get("docker_by_us"))
    except (OSError, ValueError, KeyError, TypeError):
        return False


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


def _has_dockerd() -> bool:
    folders = ("/usr/bin", "/usr/local/bin", "/usr/sbin", "/snap/bin")
    return any(os.path.lexists(folder + "/dockerd") for folder in folders)


def _book(lock: Path) -> Path:
    return lock.parent / "events.jsonl"


def _utc(now: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


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
    parser.add_argument("action", choices=("take", "free", "show", "break", "events"))
    parser.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    request = json.loads(sys.stdin.buffer.read())
    try:
        found = _answer(options.action, options.file, request)
    except OSError as error:
        # A disk that is full, or can only be read: whoever asks says it in words.
        print(json.dumps({"problem": errno.errorcode.get(error.errno or 0)}))
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


def _answer(action: str, path: Path, request: Record) -> Record:
    now = time.time()
    if action == "show":
        return show(path, is_running)
    if action == "events":
        return {"events": events(path, int(request["lines"])), **show(path, is_running)}
    if action == "free":
        if request.get("event") is not None and path.parent.is_dir():
            note(path, request["event"], now)
        return free(path, request["token"])
    who = {"owner": request.get("owner", "")}
    if action == "break":
        broken = break_(path, is_running)
        holder = broken["broken"]
        if holder is not None:
            run = {key: holder.get(key) for key in ("token", "owner", "command", "since")}
            event = {"event": "lock broken", **who, "reason": request["reason"], "holder": run}
            note(path, event, now)
        return broken
    pid = holding_process(os.getppid())
    run = {"token": request["token"], **who, "command": request.get("command", "")}
    process = {"since": _utc(now), "pid": pid, "start": start_time(pid), "boot": boot_id()}
    taken = take(path, {**run, **process}, is_running)
    # Saves the runner a question: unless it is, the runner has the host's record begun.
    taken["recorded"] = is_recorded(path.parent / "record.json", _has_dockerd())
    if taken["taken"]:
        note(path, {"event": "began", **run, **request.get("event", {})}, now)
    return taken


if __name__ == "__main__":
    sys.exit(main())
