"""What units wrote, out of the journal and out of files: one JSON object a line on stdout.

    echo '{"units": {"engine": ["vllm.service"]}, "lines": 100}' | python3 read_logs.py

The request, one line on stdin:

+ units: by source, names or patterns of units
+ files: by source, a file that a unit writes besides; its old lines have no time
+ lines: how many old lines at most, null for all
+ since: seconds since the epoch, or ``ago``: seconds before now; null for the journal's beginning
+ follow: go on until stdin ends, which it does with the connection

Standard library only: this file is piped into python3 on the host.
"""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOOK_S = 0.5
_lock = threading.Lock()


def journal_command(request: dict[str, Any], now: float) -> list[str]:
    """The ``journalctl`` that a request asks for."""
    command = ["journalctl", "--output=json", "--no-pager", "--quiet", "--all"]
    for patterns in request["units"].values():
        command += [f"--unit={pattern}" for pattern in patterns]
    since = _since(request, now)
    if since is not None:
        command.append(f"--since=@{since:.0f}")
    lines = request.get("lines")
    command.append("--lines=all" if lines is None else f"--lines={lines}")
    if request.get("follow"):
        command.append("--follow")
    return command


def entry(line: str, units: dict[str, list[str]]) -> dict[str, Any] | None:
    """An entry of the journal in our words; None for one that is no text or nobody's.

    + units: by source, names or patterns
    """
    try:
        record = json.loads(line)
    except ValueError:
        return None
    found = _unit(record, units)
    if found is None:
        return None
    return {
        "time": _utc(int(record.get("__REALTIME_TIMESTAMP", 0)) / 1e6),
        "source": found[0],
        "unit": found[1],
        "text": _text(record.get("MESSAGE")),
    }


def last_lines(text: str, most: int | None) -> list[str]:
    """The last lines of a file; of a progress bar, which repeats its line, what it showed last."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    kept = [line for line in lines if line.strip()]
    return kept if most is None else kept[max(0, len(kept) - most) :]


def followed(path: Path, offset: int) -> Iterator[str]:
    """What is written to a file from ``offset`` on; a file that is begun again, from its start."""
    rest = ""
    while True:
        time.sleep(LOOK_S)
        try:
            size = path.stat().st_size
            if size < offset:
                offset, rest = 0, ""
            if size == offset:
                continue
            with open(path, "rb") as file:
                file.seek(offset)
                data = file.read()
        except OSError:
            offset, rest = 0, ""
            continue
        offset += len(data)
        *whole, rest = (rest + data.decode("utf-8", "replace")).split("\n")
        yield from last_lines("\n".join(whole), None)


def _since(request: dict[str, Any], now: float) -> float | None:
    if request.get("ago") is not None:
        return now - float(request["ago"])
    return None if request.get("since") is None else float(request["since"])


def _unit(record: dict[str, Any], units: dict[str, list[str]]) -> tuple[str, str] | None:
    # What systemd itself says of a unit names it in UNIT.
    for key in ("UNIT", "OBJECT_SYSTEMD_UNIT", "_SYSTEMD_UNIT"):
        name = record.get(key)
        if not isinstance(name, str):
            continue
        for source, patterns in units.items():
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                return source, name
    return None


def _text(message: Any) -> str:
    """A message, which journalctl gives as bytes when it is no plain text."""
    if isinstance(message, str):
        return message
    if isinstance(message, list):
        values = [value for value in message if isinstance(value, int) and 0 <= value < 256]
        return bytes(values).decode("utf-8", "replace")
    return ""


def _utc(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}Z"


def _print(item: dict[str, Any]) -> None:
    with _lock:
        print(json.dumps(item), flush=True)


def _file(source: str, path: Path, request: dict[str, Any], now: float) -> None:
    offset = 0
    try:
        data = path.read_bytes()
        written = path.stat().st_mtime
    except OSError:
        data, written = b"", 0.0
    since = _since(request, now)
    if data and (since is None or written >= since):
        for line in last_lines(data.decode("utf-8", "replace"), request.get("lines")):
            _print({"time": None, "source": source, "unit": str(path), "text": line})
    if not request.get("follow"):
        return
    offset = len(data)
    for line in followed(path, offset):
        _print({"time": _utc(time.time()), "source": source, "unit": str(path), "text": line})


def _end_with_stdin(process: subprocess.Popen[str]) -> None:
    """Without this, journalctl would wait for ever after the connection is gone."""
    while sys.stdin.buffer.read(1):
        pass
    process.terminate()
    os._exit(0)


def main() -> int:
    """Run from the command line."""
    request = json.loads(sys.stdin.buffer.readline())
    now = time.time()
    try:
        process = subprocess.Popen(
            journal_command(request, now),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError:
        print("there is no journalctl: this system has no systemd journal", file=sys.stderr)
        return 1
    follow = bool(request.get("follow"))
    if follow:
        threading.Thread(target=_end_with_stdin, args=(process,), daemon=True).start()
    for source, name in request.get("files", {}).items():
        arguments = (source, Path(name), request, now)
        if follow:
            threading.Thread(target=_file, args=arguments, daemon=True).start()
        else:
            _file(*arguments)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            item = entry(line, request["units"])
            if item is not None:
                _print(item)
    except BrokenPipeError:
        process.terminate()
        os._exit(0)
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
