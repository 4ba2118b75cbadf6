"""Run a command on a disk only if the disk is still the one that was decided on.

    python3 disk_guard.py PROBE CONTENT DEVICE EXPECTED -- COMMAND…

PROBE and CONTENT are the texts of disk_probe.py and disk_content.py, DEVICE is a path, EXPECTED the
JSON of what they saw of that device, of the disk that it is on, and of all partitions of that, when
the decision was made. The look is repeated, every difference ends it, and the device stays open
while COMMAND runs, so that its number cannot be given to another disk.

Standard library only: this file is sent to the host as it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

# Longer than all deadlines of the probe together.
DEADLINE_S = 600


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What is not as it was, one text for each device and key."""
    told = []
    for number in sorted(set(expected) | set(found)):
        was, now = expected.get(number, {}), found.get(number, {})
        name = was.get("name") or now.get("name")
        for key in sorted(set(was) | set(now)):
            before, after = was.get(key), now.get(key)
            if before != after:
                told.append(f"{name} {key}: was {json.dumps(before)}, is {json.dumps(after)}")
    return told


def look_again(probe: str, content: str, device: str) -> dict[str, Any]:
    """What the probe sees now of ``device`` and its family; empty when it sees no such device."""
    process = subprocess.run(
        [sys.executable, "-I", "-c", probe, json.dumps({"only": device}), content],
        stdout=subprocess.PIPE,
        check=True,
        timeout=DEADLINE_S,
    )
    seen = json.loads(process.stdout)
    return dict(seen["devices"]) if seen["nodes"].get(device) in seen["devices"] else {}


def sequence(number: str) -> str | None:
    """The disk's number among all that the kernel ever attached; None before Linux 5.15."""
    for place in ("diskseq", "../diskseq"):
        try:
            with open(f"/sys/dev/block/{number}/{place}", encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            continue
    return None


def main(arguments: list[str]) -> int:
    """Exit code of COMMAND, or 1 when the disk has changed, 2 for bad usage."""
    if len(arguments) < 6 or arguments[4] != "--":
        print("usage: disk_guard.py PROBE CONTENT DEVICE EXPECTED -- COMMAND", file=sys.stderr)
        return 2
    probe, content, device, text = arguments[:4]
    expected = json.loads(text)
    try:
        changed = differences(expected, look_again(probe, content, device))
    except (subprocess.SubprocessError, ValueError, KeyError) as error:
        changed = [f"the second look failed: {str(error)[-200:]}"]
    if changed:
        return _left_alone(f"{device} is no longer what was decided on", changed)
    descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    if number not in expected or expected[number]["node"] != number:
        return _left_alone(f"{device} was renamed at this moment", [])
    known = expected.get(expected[number].get("parent"), expected[number]).get("diskseq")
    # From here on the open file keeps the number: only what happened before it is to be found.
    if known is not None and sequence(number) != known:
        return _left_alone(f"{device} was attached anew at this moment", [])
    return subprocess.run(arguments[5:], stdin=subprocess.DEVNULL, check=False).returncode


def _left_alone(what: str, lines: list[str]) -> int:
    for line in lines:
        print(f"    {line}", file=sys.stderr)
    print(f"{what}; nothing was done", file=sys.stderr)
    print("next: run this again, so that it is decided anew", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
