"""Runs that are on this machine, as lines and as JSON (``schemas/results.json``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rocminfra import __version__
from rocminfra.failure import ExitCode, Failure
from rocminfra.report.point_report import Percentiles
from rocminfra.report.reading.runs import Latencies, ListedRun
from rocminfra.runner.output.run_json import SCHEMA_VERSION, failure_document
from rocminfra.runner.output.tables import table_lines


def list_lines(found: Sequence[ListedRun]) -> list[str]:
    """A line for every run."""
    if not found:
        return ["no benchmark results here"]
    rows = [("run", "scenario", "hosts", "valid", "")]
    rows += [
        (
            run.run,
            run.scenario or "?",
            ", ".join(run.hosts) or "?",
            f"{run.valid} of {run.points}",
            "" if run.complete else "incomplete",
        )
        for run in found
    ]
    return table_lines(rows)


def latency_lines(latencies: Sequence[Latencies]) -> list[str]:
    """p50, p95 and p99 of every point; ``–`` where nothing was measured."""
    has_hosts = len({one.host for one in latencies}) > 1
    heading = ("point", *(f"{name} {unit}" for name, unit in _columns()))
    rows = [("host", *heading) if has_hosts else heading]
    for one in latencies:
        cells = (
            one.point,
            *_cells(one.ttft_s, 1000),
            *_cells(one.itl_s, 1000),
            *_cells(one.latency_s, 1),
        )
        rows.append((one.host, *cells) if has_hosts else cells)
    return table_lines(rows)


def results_document(
    *,
    found: Sequence[ListedRun] | None = None,
    folder: Path | None = None,
    rows: Sequence[dict[str, Any]] = (),
    latencies: Sequence[Latencies] = (),
    error: Failure | None = None,
) -> dict[str, Any]:
    """What was asked for; the other parts are empty.

    + found: the list of runs
    + folder, rows, latencies: one run and its points
    """
    return {
        "schema": SCHEMA_VERSION,
        "rocminfra": __version__,
        "verb": "results",
        "code": int(ExitCode.DONE if error is None else error.kind),
        "runs": [_run(run) for run in found or ()],
        "run": None if folder is None else folder.name,
        "points": list(rows),
        "latencies": [dataclasses.asdict(one) for one in latencies],
        "error": None if error is None else failure_document(error),
    }


def _run(run: ListedRun) -> dict[str, Any]:
    return {**dataclasses.asdict(run), "folder": str(run.folder), "hosts": list(run.hosts)}


def _columns() -> list[tuple[str, str]]:
    return [
        (f"{metric} {percentile}", unit)
        for metric, unit in (("TTFT", "ms"), ("ITL", "ms"), ("end to end", "s"))
        for percentile in ("p50", "p95", "p99")
    ]


def _cells(found: Percentiles, factor: float) -> list[str]:
    digits = 1 if factor > 1 else 2
    return [
        "–" if value is None else f"{value * factor:,.{digits}f}"
        for value in (found.median, found.p95, found.p99)
    ]
