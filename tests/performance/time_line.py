"""What a run of pyinfra waited for: when each operation began, and how long it took."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_STARTING = re.compile(r"--> Starting operation: (?P<name>.*?)\s*$")
_RESULTS = "--> Results:"


@dataclass(frozen=True)
class Step:
    """An operation.

    + began: seconds since the run began
    + took: seconds until the next one began
    """

    name: str
    began: float
    took: float


def watched(command: Sequence[str], environment: Mapping[str, str], folder: str) -> list[Step]:
    """Run pyinfra and note what it says when. A failure ends the measurement."""
    begun = time.monotonic()
    marks: list[tuple[str, float]] = [("start, connection and facts", 0.0)]
    lines: list[str] = []
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        for line in process.stderr or ():
            lines.append(line)
            starting = _STARTING.search(line)
            if starting is not None:
                marks.append((starting["name"], time.monotonic() - begun))
            elif line.startswith(_RESULTS):
                marks.append(("", time.monotonic() - begun))
    if process.returncode != 0:
        raise SystemExit(f"failed: {' '.join(command)}\n{''.join(lines)}")
    ends = [began for _, began in marks[1:]] + [time.monotonic() - begun]
    pairs = zip(marks, ends, strict=True)
    return [Step(name, began, end - began) for (name, began), end in pairs if name]


def printed(steps: Sequence[Step]) -> str:
    """The steps as a table, with a bar for each."""
    whole = max(step.began + step.took for step in steps)
    rows = []
    for step in steps:
        before = round(step.began / whole * 40)
        bar = " " * before + "#" * max(1, round(step.took / whole * 40))
        rows.append(f"{step.began:7.2f} {step.took:7.2f}  {step.name[:52]:52}  {bar}")
    return "\n".join([f"{'from':>7} {'took':>7}  seconds", *rows])
