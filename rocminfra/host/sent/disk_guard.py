"""Run a command on a disk only if the disk has not changed since the decision.

    python3 disk_guard.py PROBE CONTENT DEVICE EXPECTED -- COMMAND…

PROBE and CONTENT are the texts of disk_probe.py and disk_content.py, DEVICE is a path, and EXPECTED
is the JSON that they printed for that device, its disk, and all partitions of that disk when the
decision was made. The probe runs again, and any difference stops this program. The device stays
open while COMMAND runs, so its number cannot be reused for another disk.

Standard library only: this file is sent to the host as it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

# Longer than all of the probe's deadlines together.
DEADLINE_S = 600


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What has changed, one line per device and key."""
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
    """What the probe now sees of ``device`` and its family; empty if there is no such device."""
    process = subprocess.run(
        [sys.executable, "-I", "-c", probe, json.dumps({"only": device}), content],
        stdout=subprocess.PIPE,
        check=True,
        timeout=DEADLINE_S,
    )
    seen = json.loads(process.stdout)
    return dict(seen["devices"]) if seen["nodes"].get(device) in seen["devices"] else {}


def sequence(number: str) -> str | None:
    """The disk's sequence number, unique since boot; None before Linux 5.15."""
    for place in ("diskseq", "../diskseq"):
        try:
            with open(f"/sys/dev/block/{number}/{place}", encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            continue
    return None


def main(arguments: list[str]) -> int:
    """Return the exit code of COMMAND, 1 if the disk has changed, 2 for bad usage."""
    if len(arguments) < 6 or arguments[4] != "--":
        print("usage: disk_guard.py PROBE CONTENT DEVICE EXPECTED -- COMMAND", file=sys.stderr)
        return 2
    probe, content, device, text = arguments[:4]
    expected = json.loads(text)
    try:
        changed = differences(expected, look_again(probe, content, device))
    except (subprocess.SubprocessError, ValueError, KeyError) as error:
        changed = [f"the second probe failed: {str(error)[-200:]}"]
    if changed:
        return _left_alone(f"{device} has changed since the decision", changed)
    descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    if number not in expected or expected[number]["node"] != number:
        return _left_alone(f"{device} was renamed during the check", [])
    known = expected.get(expected[number].get("parent"), expected[number]).get("diskseq")
    # From here on, the open file keeps the number reserved: only earlier changes matter.
    if known is not None and sequence(number) != known:
        return _left_alone(f"{device} was reattached during the check", [])
    return subprocess.run(arguments[5:], stdin=subprocess.DEVNULL, check=False).returncode


def _left_alone(what: str, lines: list[str]) -> int:
    for line in lines:
        print(f"    {line}", file=sys.stderr)
    print(f"{what}; nothing was done", file=sys.stderr)
    print("next: run this again to decide on the current state", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
