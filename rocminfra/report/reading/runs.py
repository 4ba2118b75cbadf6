"""The runs of a results folder, and the latencies of one: what a person asks for by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.report.point_report import Percentiles
from rocminfra.report.reading.folder import read_hosts
from rocminfra.report.reading.guidellm import NOTHING, read_report

RUN_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9a-f]{6})?")
LAST = "last"


@dataclass(frozen=True)
class ListedRun:
    """One run of a results folder.

    + run: its id
    + scenario: its name; None when no job says it
    + hosts: names of their folders
    + points, valid: of all hosts
    + complete: whether nothing is missing, and every file is the one that was collected
    """

    run: str
    folder: Path
    scenario: str | None
    hosts: tuple[str, ...]
    points: int
    valid: int
    complete: bool


@dataclass(frozen=True)
class Latencies:
    """Latencies of one point of one host, in seconds; None where nothing was measured."""

    host: str
    point: str
    outcome: str
    ttft_s: Percentiles
    itl_s: Percentiles
    latency_s: Percentiles


def list_results(results: Path) -> tuple[ListedRun, ...]:
    """The runs of a results folder, the newest first; empty when there is no such folder."""
    if not results.is_dir():
        return ()
    names = [path.name for path in results.iterdir() if RUN_NAME.fullmatch(path.name)]
    return tuple(_listed(results / name) for name in sorted(names, reverse=True))


def find_run(given: str, results: Path) -> Path:
    """The folder of a run.

    + given: its name, ``last``, or a folder
    + results: folder of all runs

    Raises :class:`FailedError` when there is none.
    """
    runs = sorted(
        (path for path in results.glob("*/") if RUN_NAME.fullmatch(path.name)),
        key=lambda path: path.name,
    )
    if given == LAST and runs:
        return runs[-1]
    for folder in (results / given, Path(given)):
        if given != LAST and folder.is_dir():
            return folder
    known = ", ".join(path.name for path in reversed(runs[-5:]))
    raise FailedError(
        Fault.RESULTS_NOT_FOUND,
        f"there is no run {given} in {results}",
        (f"known: {known}",) if known else (),
        Do("rocminfra bench collect   # brings the last run of the hosts here"),
    )


def read_latencies(folder: Path) -> tuple[Latencies, ...]:
    """Latencies of every point of a run, in the order in which the points ran."""
    found = []
    for host in read_hosts(folder):
        for point in host.points:
            if point.record is None:
                continue
            figures = None
            if point.record.outcome == "valid":
                figures = read_report(point.path / "report.json").figures
            found.append(
                Latencies(
                    host=host.path.name,
                    point=point.record.label,
                    outcome=point.record.outcome,
                    ttft_s=NOTHING if figures is None else figures.ttft_s,
                    itl_s=NOTHING if figures is None else figures.itl_s,
                    latency_s=NOTHING if figures is None else figures.latency_s,
                )
            )
    return tuple(found)


def _listed(folder: Path) -> ListedRun:
    try:
        hosts = read_hosts(folder)
    except FailedError:
        return ListedRun(folder.name, folder, None, (), 0, 0, complete=False)
    records = [point.record for host in hosts for point in host.points if point.record is not None]
    scenarios = [host.job.scenario.name for host in hosts if host.job is not None]
    return ListedRun(
        run=folder.name,
        folder=folder,
        scenario=scenarios[0] if scenarios else None,
        hosts=tuple(host.path.name for host in hosts),
        points=sum(len(host.points) + len(host.never_run) for host in hosts),
        valid=sum(record.outcome == "valid" for record in records),
        complete=not any(
            host.problems or any(point.problem or point.changed for point in host.points)
            for host in hosts
        ),
    )
