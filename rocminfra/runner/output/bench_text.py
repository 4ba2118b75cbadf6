"""Benchmark runs as people read them."""

from __future__ import annotations

import time

from rocminfra.planning.bench.live import words
from rocminfra.planning.bench.progress import Status
from rocminfra.runner.output.tables import table_lines
from rocminfra.runner.run.bench_runs import Runs


def runs_lines(runs: Runs) -> list[str]:
    """A line for every run of every host; with a status, its points below it."""
    if not any(host.runs for host in runs.hosts):
        return [] if any(host.failures for host in runs.hosts) else ["no benchmark has run there"]
    rows = [("host", "run", "scenario", "state", "valid", "began")]
    rows += [
        (
            host.name,
            run.run,
            run.scenario or "?",
            run.state if host.status is None else host.status.state,
            f"{run.valid} of {run.planned}" if host.status is None else _valid(host.status),
            _when(run.began),
        )
        for host in runs.hosts
        for run in host.runs
    ]
    lines = table_lines(rows)
    for host in runs.hosts:
        if host.status is not None:
            lines += [f"{host.name}: {line}" for line in status_lines(host.status)]
    return lines


def status_lines(status: Status) -> list[str]:
    """What became of every point, and how far the run is."""
    lines = [
        f"{number}/{status.planned} {point.label}: {point.outcome} ({point.wall_seconds:.0f} s)"
        + "".join(f"; {reason}" for reason in point.reasons)
        for number, point in enumerate(status.points, start=1)
    ]
    if status.state == "running" and status.live is not None:
        lines.append(words(status.live))
    return lines


def _valid(status: Status) -> str:
    valid = sum(point.outcome == "valid" for point in status.points)
    return f"{valid} of {status.planned}"


def _when(began: float | None) -> str:
    if began is None:
        return "?"
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(began))
