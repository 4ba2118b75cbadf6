"""How often a benchmark point is attempted, with which seed, and how long an attempt may take.

GuideLLM 0.8.1 can complete its load and then hang. Such an attempt says nothing about the engine,
so the point is attempted once more. Any other failure is a result and is not repeated.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rocminfra.planning.bench.outcome_records import PointRecord

# How an attempt ended:
# + ended: its process exited on its own, with any exit code
# + hung: the load was over, and there was no more activity
# + never began: no request was sent, and there was no more activity
# + timeout: it was still busy at its hard limit
# + not started: there was no process
Verdict = Literal["ended", "hung", "never began", "timeout", "not started"]

MOST_ATTEMPTS = 2
_REPEATED = ("hung", "never began")

# A healthy GuideLLM 0.8.1 ended up to 16 s after the engine's last activity, and its shutdown
# timeouts add up to 24 s (worker_group.py: 5 s for messages, 9 s per worker, 5 s for the manager).
# No activity for longer than that is a hang.
SILENCE_S = 60.0
# After a kill, the engine may still have to abort the attempt's requests.
IDLE_S = 120.0
# After a point, for the requests that were cut off. vLLM drops them when it notices that their
# connection is gone, at the latest with the next step.
SETTLE_S = 10.0
# On top of the silence: time for GuideLLM's own shutdown.
_SHUTDOWN_S = 30.0
# On a busy machine a point can be slower than earlier ones.
_MARGIN = 3.0


@dataclass(frozen=True)
class Patience:
    """How long to wait before something counts as wrong, in seconds.

    + silence_s: without any sign of life, after the load
    + idle_s: for the engine to become idle before a repeat
    + settle_s: for the engine to drop the requests that the point before cut off
    + look_s: between two checks
    """

    silence_s: float = SILENCE_S
    idle_s: float = IDLE_S
    settle_s: float = SETTLE_S
    look_s: float = 1.0


@dataclass(frozen=True)
class Seen:
    """How long a finished attempt took in addition to its load, in seconds.

    + overhead_s: everything except the load: imports, workers, data, report
    + start_s: from the start of the process to its first request; None if not observed
    """

    overhead_s: float
    start_s: float | None = None


@dataclass(frozen=True)
class Limits:
    """Time limits of one attempt, in seconds from the start of its process.

    + start_s: longest silence before the first request
    + total_s: the hard limit
    """

    start_s: float
    total_s: float


def limits(
    max_seconds: float,
    overhead_seconds: float,
    seen: Sequence[Seen],
    silence_s: float = SILENCE_S,
) -> Limits:
    """Time limits of the next attempt.

    + max_seconds: length of the load
    + overhead_seconds: most time on top of it; the only estimate until a point of this run has
      ended
    + seen: durations of this run's points so far
    + silence_s: shortest silence that counts as a hang

    The limit is three times the longest overhead so far, but never too short to distinguish a hang
    from a slow end.
    """
    if not seen:
        return Limits(start_s=overhead_seconds, total_s=max_seconds + overhead_seconds)
    longest = max(one.overhead_s for one in seen)
    overhead = max(_MARGIN * longest, longest + silence_s + _SHUTDOWN_S)
    starts = [one.start_s for one in seen if one.start_s is not None]
    start = max(_MARGIN * max(starts), silence_s) if starts else overhead_seconds
    return Limits(
        start_s=min(start, overhead_seconds),
        total_s=max_seconds + min(overhead, overhead_seconds),
    )


def seen_in(records: Sequence[PointRecord], max_seconds: float) -> tuple[Seen, ...]:
    """Durations of a run's finished points.

    + records: their records; those of earlier versions have no attempts and are ignored
    + max_seconds: length of the load
    """
    found = []
    for record in records:
        last = record.attempts[-1] if record.attempts else None
        # A process that ran a whole stage says nothing about one point.
        whole = record.stage is not None or record.point.stage is not None
        if whole or last is None or last.verdict != "ended" or last.exit_code != 0:
            continue
        # A load that ran out of requests was shorter than max_seconds.
        load = (record.figures or {}).get("duration_s")
        took = last.seconds - min(max_seconds if load is None else load, max_seconds)
        found.append(Seen(max(0.0, took), last.start_seconds))
    return tuple(found)


def is_repeated(verdicts: Sequence[str]) -> bool:
    """Whether to repeat a point.

    + verdicts: verdicts of its attempts so far, in order
    """
    return len(verdicts) < MOST_ATTEMPTS and verdicts[-1] in _REPEATED


def longest_seconds(max_seconds: float, overhead_seconds: float) -> float:
    """Longest duration of a point, with every attempt at its hard limit."""
    return MOST_ATTEMPTS * (max_seconds + overhead_seconds) + IDLE_S
