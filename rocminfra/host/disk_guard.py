"""Run a command on a disk only if the disk is still the one that was decided on.

    python3 disk_guard.py PROBE CONTENT DEVICE EXPECTED -- COMMAND…

PROBE and CONTENT are the texts of disk_probe.py and disk_content.py, DEVICE is a path, EXPECTED the
JSON of what they saw of that device when the decision was made. The look is repeated, every
difference ends it, and the device stays open while COMMAND runs, so that its number cannot be
given to another disk.

Standard library only: this file is sent to the host as it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What is not as it was, one text for each key."""
    keys = sorted(set(expected) | set(found))
    return [
        f"{key}: was {json.dumps(expected.get(key))}, is {json.dumps(found.get(key))}"
        for key in keys
        if expected.get(key) != found.get(key)
    ]


def look_again(probe: str, content: str, device: str) -> dict[str, Any]:
    """What the probe sees of ``device`` now; empty when it sees no such device."""
    process = subprocess.run(
        [sys.executable, "-c", probe, json.dumps({"only": device}), content],
        stdout=subprocess.PIPE,
        check=True,
        timeout=180,
    )
    seen = json.loads(process.stdout)
    record = seen["devices"].get(seen["nodes"].get(device))
    return dict(record) if record else {}


def main(arguments: list[str]) -> int:
    """Exit code of COMMAND, or 1 when the disk has changed, 2 for bad usage."""
    if len(arguments) < 6 or arguments[4] != "--":
        print("usage: disk_guard.py PROBE CONTENT DEVICE EXPECTED -- COMMAND", file=sys.stderr)
        return 2
    probe, content, device, text = arguments[:4]
    expected = json.loads(text)
    changed = differences(expected, look_again(probe, content, device))
    if changed:
        for line in changed:
            print(f"    {line}", file=sys.stderr)
        print(f"{device} is no longer what was decided on; nothing was done", file=sys.stderr)
        print("next: run this again, so that it is decided anew", file=sys.stderr)
        return 1
    descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    number = os.fstat(descriptor).st_rdev
    if f"{os.major(number)}:{os.minor(number)}" != expected["node"]:
        print(f"{device} was renamed at this moment; nothing was done", file=sys.stderr)
        return 1
    return subprocess.run(arguments[5:], stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
