"""How often a benchmark point is tried, with which seed, and how long an attempt may take.

GuideLLM 0.8.1 can serve a whole load and then never end. Such an attempt says nothing about the
engine, so the point is tried once more; whatever else goes wrong is a result and is not repeated.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rocminfra.planning.bench.records import PointRecord

# How an attempt went:
# + ended: its process exited by itself, whatever the exit code
# + hung: the load was over, and nothing happened any more
# + never began: no request was sent, and nothing happened any more
# + timeout: it was still busy at its hard limit
# + not started: there was no process
Verdict = Literal["ended", "hung", "never began", "timeout", "not started"]

MOST_ATTEMPTS = 2
_REPEATED = ("hung", "never began")

# A healthy GuideLLM 0.8.1 ended up to 16 s after the engine's last activity, and the limits of its
# own shutdown add up to 24 s (worker_group.py: 5 s for messages, 9 s a worker, 5 s for the
# manager): nothing at all for this long is a hang.
SILENCE_S = 60.0
# After a kill, the engine may still have requests of the attempt to give up.
IDLE_S = 120.0
# On top of the silence: what GuideLLM's own shutdown may take.
_SHUTDOWN_S = 30.0
# A busy machine makes a point slower than those before it.
_MARGIN = 3.0


@dataclass(frozen=True)
class Patience:
    """How long to wait before saying that something is wrong, in seconds.

    + silence_s: without any sign of life, after the load
    + idle_s: for the engine to become idle before a repeat
    + look_s: between two looks
    """

    silence_s: float = SILENCE_S
    idle_s: float = IDLE_S
    look_s: float = 1.0


@dataclass(frozen=True)
class Seen:
    """What an attempt that ended took besides its load, in seconds.

    + overhead_s: everything but the load: imports, workers, data, report
    + start_s: from the start of the process to its first request; None when nobody saw that
    """

    overhead_s: float
    start_s: float | None = None


@dataclass(frozen=True)
class Limits:
    """Limits of one attempt, in seconds from the start of its process.

    + start_s: silence without a first request, at most
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
    """Limits of the next attempt.

    + max_seconds: length of the load
    + overhead_seconds: most that may come on top of it; all that is known before a point of this
      run has ended
    + seen: what this run's points took so far
    + silence_s: how long a hang must last to be called one

    Three times the longest overhead so far, and never less than what it takes to tell a hang from
    a slow end.
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
    """What the finished points of a run took.

    + records: of them; older ones have no attempts and tell nothing
    + max_seconds: length of the load
    """
    found = []
    for record in records:
        last = record.attempts[-1] if record.attempts else None
        if last is None or last.verdict != "ended" or last.exit_code != 0:
            continue
        # A load that ran out of requests was shorter than it might have been.
        load = (record.figures or {}).get("duration_s")
        took = last.seconds - min(max_seconds if load is None else load, max_seconds)
        found.append(Seen(max(0.0, took), last.start_seconds))
    return tuple(found)


def is_repeated(verdicts: Sequence[str]) -> bool:
    """Whether a point is tried once more.

    + verdicts: of its attempts so far, in order
    """
    return len(verdicts) < MOST_ATTEMPTS and verdicts[-1] in _REPEATED


def seed(scenario_seed: int, earlier: int) -> int:
    """Seed of an attempt.

    + scenario_seed: the scenario's, for the first attempt
    + earlier: attempts at this point before it, those of a resumed run included

    The same seed makes the same prompts, which the engine's prefix cache may still hold.
    """
    return scenario_seed + earlier


def longest_seconds(max_seconds: float, overhead_seconds: float) -> float:
    """Longest time that a point may take, with every attempt at its hard limit."""
    return MOST_ATTEMPTS * (max_seconds + overhead_seconds) + IDLE_S
