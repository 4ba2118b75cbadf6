"""How far a figure moves when nothing changed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from statistics import fmean, median, stdev

# Two standard errors: what 95 of 100 repetitions stay within.
_ERRORS = 2.0
# A run's own requests do not show how two runs differ: clocks, caches, the order of the streams.
# Two recorded runs of the same thing stay within these (tests/recorded/runs); of a figure of the
# first token, which that order decides, more.
FLOOR = 0.05
FLOOR_OF_TTFT = 0.10
# So many requests must lie beyond a percentile for it to be a figure of the run, and not of those
# few: 200 for the 95th.
LEAST_BEYOND = 10
# Repetitions show that, so that less remains.
FLOOR_OF_REPETITIONS = 0.01
LEAST_REPETITIONS = 3
# Student's t, two-sided 95 %, by degrees of freedom from 1 (any table of it); beyond them the last
# one, which is a little too wide.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
# The bootstrap draws so many samples of at most so many requests.
_ROUNDS, _MOST = 100, 300
_SEED = 42

Statistic = Callable[[Sequence[float]], float]


def p95(values: Sequence[float]) -> float:
    """The 95th percentile: the smallest value that 95 % do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)]


def bootstrap(values: Sequence[float], statistic: Statistic) -> float | None:
    """Relative noise of a statistic over requests: two standard errors, as a share of it.

    + values: one a request

    Draws with replacement (Efron 1979) from a fixed seed; of many requests fewer are drawn, and
    the error scaled by the root of the ratio ("m out of n"). None with less than two values.
    """
    if len(values) < 2:
        return None
    whole = statistic(values)
    if not whole:
        return None
    drawn = min(len(values), _MOST)
    chance = random.Random(_SEED)
    found = [statistic(chance.choices(values, k=drawn)) for _ in range(_ROUNDS)]
    return _ERRORS * stdev(found) * math.sqrt(drawn / len(values)) / abs(whole)


def of_repetitions(values: Sequence[float]) -> float | None:
    """Relative noise of the mean of repetitions: half of its 95 % interval, by Student's t.

    None with fewer than three: of two, the interval is so wide that nothing would ever lie outside.
    """
    if len(values) < LEAST_REPETITIONS:
        return None
    mean = fmean(values)
    if not mean:
        return None
    freedom = len(values) - 1
    student = _STUDENT[min(freedom, len(_STUDENT)) - 1]
    return max(FLOOR_OF_REPETITIONS, student * stdev(values) / math.sqrt(len(values)) / abs(mean))


def at_the_edges(in_flight: float | None, completed: int) -> float:
    """Relative noise of a rate: the measured window cuts the requests in flight at its ends.

    + in_flight: requests, on average
    + completed: requests in the window
    """
    return max(in_flight or 0.0, 1.0) / max(completed, 1)


def band(one: float | None, other: float | None, floor: float = FLOOR) -> float:
    """Relative noise of the difference of two figures.

    + one, other: of each; None where it is not known
    + floor: what it is at least
    """
    return max(floor, math.hypot(one or 0.0, other or 0.0))


STATISTICS: dict[str, Statistic] = {"median": median, "p95": p95, "mean": fmean}
