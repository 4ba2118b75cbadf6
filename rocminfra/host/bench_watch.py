"""Tell a load generator that hangs from one that is slow.

The engine's counters, GuideLLM's output and the processor time of its main process are all signs of
life. One that hangs shows none of them: its poll takes a tenth of a core, a report in the making a
whole one.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rocminfra.planning.bench_attempts import Limits, Verdict

# Part of a core, measured over the whole silence: a hung GuideLLM 0.8.1 takes 0.1.
BUSY_CORES = 0.5

_COUNTERS = ("requests", "prompt_tokens", "generation_tokens", "preemptions")


@dataclass(frozen=True)
class Look:
    """What is seen of an attempt at one moment.

    + now: monotonic seconds
    + engine: the newest sample of its ``/metrics``, or None when it did not answer
    + said: bytes that GuideLLM has written to stdout and stderr
    + cpu_s: processor seconds of its main process so far, or None when unknown
    + has_begun: whether it has sent a request; None when only the engine can tell
    """

    now: float
    engine: Mapping[str, float] | None
    said: int
    cpu_s: float | None = None
    has_begun: bool | None = None


class Watch:
    """Decides what an attempt is doing, look by look.

    + started: when its process was started, in monotonic seconds
    + max_seconds: length of its load
    + limits: how long it may take
    + silence_s: how long nothing may happen after the load
    + before: the engine's sample before the process was started, or None
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
        self._last: tuple[object, ...] | None = None
        self._quiet_since = started
        self._quiet_cpu_s: float | None = None
        self.first_request: float | None = None

    def look(self, seen: Look) -> Verdict | None:
        """What is wrong with the attempt at this moment, or None.

        + seen: what is seen now, later than all before
        """
        self._note_beginning(seen)
        quiet_s = self._quiet_seconds(seen)
        if self.first_request is None:
            if quiet_s >= self._limits.start_s:
                return "never began"
        elif (
            quiet_s >= self._silence_s and seen.now >= self.first_request + self._max_seconds
        ):
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
        """Seconds for which nothing has happened; 0 when that cannot be told."""
        if seen.engine is None or not _is_idle(seen.engine):
            self._last = None
        now = None if seen.engine is None else (_counted(seen.engine), seen.said)
        if now is None or now != self._last or not _is_idle(seen.engine or {}):
            self._last = now
            self._quiet_since = seen.now
            self._quiet_cpu_s = seen.cpu_s
            return 0.0
        quiet_s = seen.now - self._quiet_since
        if seen.cpu_s is not None and self._quiet_cpu_s is not None:
            if seen.cpu_s - self._quiet_cpu_s >= BUSY_CORES * max(quiet_s, self._silence_s):
                # It works: on its report, or on its data.
                self._quiet_since = seen.now
                self._quiet_cpu_s = seen.cpu_s
                return 0.0
        return quiet_s


def bytes_said(folder: Path) -> int:
    """Bytes of GuideLLM's output in a point's folder."""
    total = 0
    for name in ("stdout.log", "stderr.log"):
        try:
            total += (folder / name).stat().st_size
        except OSError:
            continue
    return total


def cpu_seconds(pid: int) -> float | None:
    """Processor seconds that a process has used, its threads included; None when it is gone."""
    try:
        # After the name, which may hold blanks: state is field 3, utime 14 and stime 15 (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def is_idle(sample: Mapping[str, float] | None) -> bool:
    """Whether an engine's sample says that it has no request, neither running nor waiting."""
    return sample is not None and _is_idle(sample)


def _is_idle(sample: Mapping[str, float]) -> bool:
    # A page without them says nothing.
    return sample.get("running") == 0 and sample.get("waiting") == 0


def _counted(sample: Mapping[str, float]) -> tuple[float | None, ...]:
    return tuple(sample.get(name) for name in _COUNTERS)
