"""All runs of a results folder, for one page over them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.planning.bench.manifest import REPORT
from rocminfra.report.figures.report import Wanted, make_report
from rocminfra.report.history import History, RunLine
from rocminfra.report.summary import HostReport, Report

PAGE = "report.html"


def read_history(results: Path, wanted: Wanted | None = None) -> History:
    """The runs of a folder, oldest first.

    + results: such as ``results``

    Raises :class:`FailedError` when there is no such folder.
    """
    if not results.is_dir():
        raise FailedError(
            Fault.RESULTS_NOT_FOUND,
            f"there is no folder {results}",
            next=Do("rocminfra report index FOLDER, the one that your runs are in"),
        )
    asked = replace(wanted or Wanted(), with_prediction=False)
    found: list[RunLine] = []
    unreadable: list[tuple[str, str]] = []
    for folder in sorted(results.iterdir()):
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        try:
            report = make_report(folder, asked)
        except FailedError as error:
            unreadable.append((folder.name, error.failure.what))
            continue
        page = folder / REPORT / PAGE
        link = page.relative_to(results).as_posix() if page.is_file() else None
        found.extend(_line(report, host, link) for host in report.hosts)
    found.sort(key=lambda line: (line.made_at or line.run, line.host))
    return History(str(results), tuple(found), tuple(unreadable))


def _line(report: Report, host: HostReport, link: str | None) -> RunLine:
    given = {item.name: item.value for item in host.provenance}
    found = RunLine(
        run=report.run,
        host=host.host,
        scenario=host.scenario,
        made_at=report.made_at,
        verdict=host.verdict,
        is_valid=host.is_valid,
        valid=host.valid,
        total=host.total,
        gpu=given.get("GPU"),
        engine=given.get("Engine"),
        link=link,
    )
    best = host.point(host.saturation)
    if best is None or best.figures is None:
        return found
    measured = [
        point.figures
        for point in host.points
        if point.is_valid and point.figures is not None and point.figures.requests_per_s
    ]
    lowest = min(measured, key=lambda figures: figures.requests_per_s or 0.0)
    return replace(
        found,
        saturation=best.load.label,
        requests_per_s=best.figures.requests_per_s,
        tokens_per_s=best.figures.tokens_per_s,
        usd_per_million_tokens=None if best.cost is None else best.cost.usd_per_million_tokens,
        ttft_median_s=lowest.ttft_s.median,
        itl_median_s=lowest.itl_s.median,
    )
