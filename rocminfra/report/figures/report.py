"""A run's folder as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.points import planned_names
from rocminfra.planning.bench.verified import VerifiedFiles
from rocminfra.report.figures import economics as money
from rocminfra.report.figures import predicted as predictions
from rocminfra.report.figures import provenance, saturation, slo, verdict
from rocminfra.report.figures.slo import Limit
from rocminfra.report.point_report import Load, PointReport
from rocminfra.report.reading.folder import HostFolder, read_hosts
from rocminfra.report.reading.point import PointData, read_point
from rocminfra.report.summary import HostReport, Report


@dataclass(frozen=True)
class Wanted:
    """What the reader asked for.

    + limits: objectives
    + reference: ``benchmarks/reference.yaml``, whose alternatives the price is compared with
    + usd_per_hour: instead of the price that the run recorded
    + with_prediction: predict each point where that is possible
    """

    limits: tuple[Limit, ...] = slo.parse(slo.DEFAULT)
    reference: Mapping[str, Any] | None = None
    usd_per_hour: float | None = None
    with_prediction: bool = True


def make_report(
    folder: Path,
    wanted: Wanted | None = None,
    verified: Mapping[Path, VerifiedFiles] | None = None,
) -> Report:
    """The report of a run.

    + folder: of the run, such as ``results/20260513T101500Z``, or of one host in it
    + verified: files of hosts' folders that were hashed a moment ago; all others are hashed here

    Damaged files make points invalid and are no reason to stop. Raises
    :class:`~rocminfra.failure.FailedError` for a folder without any results.
    """
    asked = Wanted() if wanted is None else wanted
    folders = read_hosts(folder, verified)
    hosts = tuple(_host(one, asked) for one in folders)
    records = [one.run or one.job for one in folders]
    run = next((record.run for record in records if record is not None), folder.name)
    began = [one.run.started for one in folders if one.run is not None]
    wrong = [host for host in hosts if not host.is_valid]
    if len(hosts) == 1:
        words = hosts[0].verdict
    else:
        said = "; ".join(f"{host.host}: {host.verdict}" for host in hosts)
        words = f"{len(hosts)} hosts; {said}"
        if wrong:
            words = f"INVALID on {', '.join(host.host for host in wrong)}; {said}"
    return Report(
        run=run,
        verdict=words,
        is_valid=not wrong,
        hosts=hosts,
        made_at=provenance.when(min(began)) if began else None,
        warnings=_differing_runs(folders),
        folder=folder.name,
    )


def _host(folder: HostFolder, wanted: Wanted) -> HostReport:
    job, run = folder.job, folder.run
    price = wanted.usd_per_hour
    if price is None and job is not None:
        price = job.usd_per_hour
    engine, note = _engine(folder, wanted)
    points = []
    for one in folder.points:
        points.append(_judged(read_point(one), wanted, price, engine))
    points.extend(_never_run(folder, points, job))
    valid = sum(point.is_valid for point in points)
    believable = verdict.is_believable(valid, len(points))
    best = saturation.saturation(points) if believable else None
    objectives = slo.summary(points, wanted.limits) if believable and wanted.limits else None
    nodes = money.nodes(wanted.reference or {})
    prices = money.economics(best, price, nodes) if believable else None
    floor, source = provenance.itl_floor(job, run)
    if not believable:
        # Figures of the valid rest stay in the table; a price of them could be taken for the run's.
        points = [replace(point, cost=None) for point in points]
    return HostReport(
        host=folder.path.name if job is None else job.host,
        verdict=verdict.verdict(points, len(points), objectives, prices),
        is_valid=believable,
        valid=valid,
        total=len(points),
        scenario="unknown" if job is None else job.scenario.name,
        provenance=provenance.box(job, run),
        repeat=provenance.repeat(job),
        points=tuple(points),
        warnings=_warnings(folder, points, best),
        knee=saturation.knee(points) if believable else None,
        saturation=None if best is None else best.name,
        slo=objectives,
        economics=prices,
        itl_floor_s=floor,
        itl_floor_source=source,
        prediction_note=note,
    )


def _engine(folder: HostFolder, wanted: Wanted) -> tuple[Any, str | None]:
    if not wanted.with_prediction:
        return None, None
    try:
        engine = predictions.predictor(folder.job, folder.run)
    except predictions.NothingPredictedError as error:
        return None, str(error)
    except (KeyError, TypeError, ValueError) as error:
        return None, f"no prediction: the scenario's data cannot be used: {error}"
    return engine, "predicted for the flags of the reference run"


def _judged(data: PointData, wanted: Wanted, price: float | None, engine: Any) -> PointReport:
    point = data.report
    found = replace(
        point,
        cost=money.cost(point.figures, price) if point.is_valid and point.figures else None,
        slo=slo.outcome(point, data.requests, wanted.limits) if wanted.limits else None,
    )
    if engine is None or not point.is_valid:
        return found
    return replace(found, predicted=predictions.predicted(point, engine))


def _never_run(
    folder: HostFolder, points: Sequence[PointReport], job: JobRecord | None
) -> list[PointReport]:
    """Points that were planned and have no folder."""
    names = list(folder.never_run)
    if job is not None:
        names += [name for name in planned_names(job.scenario.stages) if name not in names]
    seen = {point.name for point in points}
    return [
        PointReport(name, Load(name, "unknown"), "never run", ("it never ran",))
        for name in names
        if name not in seen
    ]


def _warnings(
    folder: HostFolder, points: Sequence[PointReport], best: PointReport | None
) -> tuple[str, ...]:
    found = list(folder.problems)
    if provenance.is_beside(folder.job):
        run = folder.run
        cores = run.provenance.cores if run is not None else None
        shared = f"its {cores} cores" if cores else "its cores"
        found.append(f"the load generator ran on the serving host itself and shared {shared}")
    repeated = [point.load.label for point in points if len(point.attempts) > 1]
    if repeated:
        found.append(f"repeated after a failed attempt: {', '.join(repeated)}")
    if best is not None:
        unknown = [point.load.label for point in points if not point.is_valid]
        if unknown:
            found.append(
                f"not valid and in no figure: {', '.join(unknown)}; saturation may lie above "
                f"{best.load.label}"
            )
    return tuple(found)


def _differing_runs(folders: Sequence[HostFolder]) -> tuple[str, ...]:
    runs = {record.run for one in folders if (record := one.run or one.job) is not None}
    if len(runs) <= 1:
        return ()
    return (f"the hosts belong to several runs: {', '.join(sorted(runs))}",)
