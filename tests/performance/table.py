"""The table that a measurement prints, and the bars that it is held against."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """What a figure is held against.

    + what: the figure, in words
    + measured: its value
    + limit: the most it may be, or the least if ``is_least``
    """

    what: str
    measured: float
    limit: float
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure is on the right side of its limit."""
        return self.measured >= self.limit if self.is_least else self.measured <= self.limit


def judged(results: Mapping[str, float]) -> list[Bar]:
    """The bars, each a ratio or a difference of figures of one invocation."""
    batched = results["batched_s"]
    faster = results["plain_16_hosts_s"] / results["batched_16_hosts_s"]
    return [
        Bar("SSH execs without changes", results["batched_execs"], 4),
        Bar("seconds more than an empty deploy", batched - results["empty_s"], 0.6),
        Bar("times as long at 50 ms", results["batched_rtt50_s"] / batched, 2.5),
        Bar("16 hosts, times as fast as plain", faster, 1.6, is_least=True),
        Bar("seconds for rocminfra --help", results["help_s"], 0.3),
    ]


def print_table(seconds: Mapping[str, list[float]], results: Mapping[str, float]) -> None:
    print(f"\n{'':18}{'median':>9}{'fastest':>9}{'slowest':>9}   seconds, {os.cpu_count()} cores")
    for name, runs in seconds.items():
        row = (statistics.median(runs), min(runs), max(runs))
        print(f"{name:18}" + "".join(f"{value:9.2f}" for value in row))
    print(f"\nSSH execs: {results['plain_execs']} plain, {results['batched_execs']} batched")
    print(f"work of the 16 hosts themselves: {results['cpu_s_of_16_hosts']} s of CPU")
    print(f"memory: {results['memory_1_hosts_mb']} MiB for 1 host, ", end="")
    print(f"{results['memory_64_hosts_mb']} MiB for 64\n")
    for bar in judged(results):
        limit = f"at {'least' if bar.is_least else 'most'} {bar.limit:g}"
        print(f"{bar.what:36}{bar.measured:8.2f}   {limit:14}{'met' if bar.is_met else 'MISSED'}")
