"""The table that a measurement prints, and the bars that it is held against."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping


def judged(results: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """The bars: what, measured, at most."""
    return [
        ("SSH execs without changes", results["batched_execs"], 4),
        ("seconds more than an empty deploy", results["batched_s"] - results["empty_s"], 0.6),
        ("times as long at 50 ms", results["batched_rtt50_s"] / results["batched_s"], 2.5),
        ("times as long for 16 hosts", results["batched_16_hosts_s"] / results["batched_s"], 3),
        ("seconds for rocminfra --help", results["help_s"], 0.3),
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
    for what, value, most in judged(results):
        verdict = "met" if value <= most else "MISSED"
        print(f"{what:36}{value:8.2f}   at most {most:g}   {verdict}")
