"""How far off capacity was for engines that others started. Standard library only.

``benchmarks/published/capacity.yaml`` has the logs; ``docs/planning.md`` shows them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StartUpLogs:
    """Published start-up logs against the plan.

    + total: how many
    + at_least_worst: engines that had at least the tokens of the worst case
    + near_expected: engines whose tokens were within 5 % of those that were most likely
    """

    total: int
    at_least_worst: int
    near_expected: int


START_UP_LOGS = StartUpLogs(total=14, at_least_worst=13, near_expected=12)
