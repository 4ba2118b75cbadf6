"""Benchmark runs of hosts, and of a results folder, as JSON; ``schemas/`` publishes the form."""

from __future__ import annotations

import dataclasses
from typing import Any

from rocminfra import __version__
from rocminfra.planning.bench.progress import Status
from rocminfra.runner.output.run_json import SCHEMA_VERSION, failure_document
from rocminfra.runner.run.bench_runs import Runs


def runs_document(verb: str, runs: Runs) -> dict[str, Any]:
    """``bench list``, ``status`` or ``stop``.

    + verb: as the schema calls it, such as ``bench-list``
    """
    return {
        "schema": SCHEMA_VERSION,
        "rocminfra": __version__,
        "verb": verb,
        "code": int(runs.code),
        "run": runs.run or None,
        "hosts": [
            {
                "name": host.name,
                "runs": [dataclasses.asdict(run) for run in host.runs],
                "status": None if host.status is None else _status(host.status),
                "failures": [failure_document(failure) for failure in host.failures],
            }
            for host in runs.hosts
        ],
        "error": None,
    }


def _status(status: Status) -> dict[str, Any]:
    live = status.live
    return {
        "state": status.state,
        "planned": status.planned,
        "points": [
            {
                "name": point.name,
                "label": point.label,
                "outcome": point.outcome,
                "reasons": list(point.reasons),
                "seconds": point.wall_seconds,
                "attempts": point.attempts,
            }
            for point in status.points
        ],
        "live": None if live is None else dataclasses.asdict(live),
    }
