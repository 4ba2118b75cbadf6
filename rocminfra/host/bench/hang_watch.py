"""Distinguish a load generator that hangs from a slow one.

The engine's counters, GuideLLM's output and the CPU time of its processes are signs of life. A hung
GuideLLM shows none of them: it polls with a tenth of a core, while writing a report or generating
data takes a whole core.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rocminfra.planning.bench.retry import Limits, Verdict

# Share of a core, measured over the whole silence: a hung GuideLLM 0.8.1 uses 0.1.
BUSY_CORES = 0.5

_REPORTS = ("report.json", "report.html")
_OUTPUT = ("stdout.log", "stderr.log", *_REPORTS, *(f".{name}.new" for name in _REPORTS))
_COUNTERS = ("requests", "prompt_tokens", "generation_tokens", "preemptions")


@dataclass(frozen=True)
class Look:
    """The state of an attempt at one moment.

    + now: monotonic seconds
    + engine: the latest sample of its ``/metrics``, or None when it did not answer
    + said: bytes that GuideLLM has written to stdout and stderr
    + cpu_s: CPU seconds used so far by each of its processes, by PID
    + has_begun: whether it has sent a request; None when only the engine knows
    + engine_at: when the engine was sampled, in monotonic seconds; None for now
    """

    now: float
    engine: Mapping[str, float] | None
    said: int
    cpu_s: Mapping[int, float] = field(default_factory=dict)
    has_begun: bool | None = None
    engine_at: float | None = None


class Watch:
    """Judges an attempt, one :class:`Look` at a time.

    + started: when its process started, in monotonic seconds
    + max_seconds: length of its load
    + limits: its time limits
    + silence_s: longest silence after the load, in seconds
    + before: the engine's sample before the process started, or None
    """

    def __init__(
        self,
        started: float,
        max_seconds: float,
        limits: Limits,
        silence_s: float,
        before: Mapping[str, float] | None,
    ) -> None:
        self._started = started
        self._max_seconds = max_seconds
        self._limits = limits
        self._silence_s = silence_s
        self._before = None if before is None else _counted(before)
        self._signs: tuple[object, int] | None = None
        self._quiet_since = started
        self._quiet_cpu_s: Mapping[int, float] = {}
        self.first_request: float | None = None

    def look(self, seen: Look) -> Verdict | None:
        """What is wrong with the attempt now, or None.

        + seen: the current state, later than all earlier ones
        """
        self._note_beginning(seen)
        quiet_s = self._quiet_seconds(seen)
        if self.first_request is None:
            if quiet_s >= self._limits.start_s:
                return "never began"
        elif quiet_s >= self._silence_s and seen.now >= self.first_request + self._max_seconds:
            return "hung"
        if seen.now - self._started >= self._limits.total_s:
            return "timeout"
        return None

    def _note_beginning(self, seen: Look) -> None:
        if self.first_request is not None:
            return
        begun = seen.has_begun
        if begun is None and seen.engine is not None:
            if self._before is None:
                self._before = _counted(seen.engine)
            begun = not _is_idle(seen.engine) or _counted(seen.engine) != self._before
        if begun:
            self.first_request = seen.now

    def _quiet_seconds(self, seen: Look) -> float:
        """Seconds since the last sign of life; 0 when unknown."""
        signs = None
        if seen.engine is not None and _is_idle(seen.engine):
            signs = (_counted(seen.engine), seen.said)
        if signs is None or signs != self._signs or self._is_working(seen):
            self._signs = signs
            self._quiet_since = seen.now
            self._quiet_cpu_s = seen.cpu_s
            return 0.0
        # An old sample proves nothing of what came after it.
        known_until = seen.now if seen.engine_at is None else min(seen.now, seen.engine_at)
        return max(0.0, known_until - self._quiet_since)

    def _is_working(self, seen: Look) -> bool:
        """Whether one of its processes is busy with its report or its data."""
        used = [seconds - self._quiet_cpu_s.get(pid, 0.0) for pid, seconds in seen.cpu_s.items()]
        quiet_s = seen.now - self._quiet_since
        return max(used, default=0.0) >= BUSY_CORES * max(quiet_s, self._silence_s)


def bytes_said(folder: Path) -> int:
    """Size of GuideLLM's output in a point's folder, in bytes.

    A report that is on its way from another host is part of it, or a slow line would look hung.
    """
    total = 0
    for name in _OUTPUT:
        try:
            total += (folder / name).stat().st_size
        except OSError:
            continue
    return total


def family(pid: int) -> list[int]:
    """A process and its descendants; orphans are not found."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in task.read_text(encoding="utf-8").split())
            except OSError:
                continue
    return found


def cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """CPU seconds used by each process, including its threads.

    + pids: processes; the answer omits those that are gone
    """
    found: dict[int, float] = {}
    tick = os.sysconf("SC_CLK_TCK")
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        # Fields after the name, which may contain spaces: state is 3, utime 14, stime 15 (proc(5)).
        fields = text.rpartition(")")[2].split()
        found[pid] = (int(fields[11]) + int(fields[12])) / tick
    return found


def ask_for_stacks(pids: Iterable[int], number: int, path: Path, patience_s: float = 3.0) -> bool:
    """Ask processes to write their stacks. Returns whether any did.

    + pids: processes; skips those that the signal would kill
    + number: the signal
    + path: the file they write to
    + patience_s: seconds to wait for the file to be complete
    """
    for pid in pids:
        if _catches(pid, number):
            try:
                os.kill(pid, number)
            except OSError:
                continue
    deadline = time.monotonic() + patience_s
    before = -1
    while time.monotonic() < deadline:
        size = path.stat().st_size if path.exists() else 0
        if size and size == before:
            return True
        before = size
        time.sleep(0.3)
    return before > 0


def is_idle(sample: Mapping[str, float] | None) -> bool:
    """Whether an engine's sample shows no running and no waiting requests."""
    return sample is not None and _is_idle(sample)


def _is_idle(sample: Mapping[str, float]) -> bool:
    # A page without these counters proves nothing.
    return sample.get("running") == 0 and sample.get("waiting") == 0


def _counted(sample: Mapping[str, float]) -> tuple[float | None, ...]:
    return tuple(sample.get(name) for name in _COUNTERS)


def _catches(pid: int, number: int) -> bool:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")), 0)
    return bool(caught & (1 << (number - 1)))
