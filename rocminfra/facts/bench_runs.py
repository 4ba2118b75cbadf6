"""The benchmark runs that a host knows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from rocminfra.facts.host_fact import HostFact
from rocminfra.host.programs import call


@dataclass(frozen=True)
class HostRun:
    """One run on a host.

    + run: its id
    + state: ``none``, ``running``, ``finished``, ``stopped`` or ``died``
    + scenario: its name; None when the job cannot be read
    + planned, points, valid: points that it has, that ended, and that count
    + current: label of the point that runs
    + began, changed: Unix time, seconds; None when not known
    """

    run: str
    state: str
    scenario: str | None
    planned: int
    points: int
    valid: int
    current: str | None
    began: float | None
    changed: float | None


class BenchRuns(HostFact[tuple[HostRun, ...]]):
    """All runs of a host, the newest first; empty when there was none. Reads only."""

    @staticmethod
    def default() -> tuple[HostRun, ...]:
        return ()

    def command(self, runs: str, asked_at: float) -> str:
        """Shell command.

        + runs: folder of all runs on the host
        + asked_at: a time, so that no earlier answer is taken for this one
        """
        return f"{call('bench_runs', runs)} # {float(asked_at)!r}"

    def process(self, output: list[str]) -> tuple[HostRun, ...]:
        """Read the program's list; raises ValueError when there is none."""
        return tuple(_run(item) for item in json.loads(output[-1]))


def _run(item: Any) -> HostRun:
    return HostRun(
        run=str(item["run"]),
        state=str(item["state"]),
        scenario=item["scenario"],
        planned=int(item["planned"]),
        points=int(item["points"]),
        valid=int(item["valid"]),
        current=item["current"],
        began=item["began"],
        changed=item["changed"],
    )
