"""One point of a run, from all of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rocminfra.planning.bench.outcome_records import PointRecord
from rocminfra.planning.bench.points import Point
from rocminfra.report.point_report import AttemptSummary, Figures, Load, PointReport
from rocminfra.report.reading.engine_metrics import cache_hit_share, phases, read_page
from rocminfra.report.reading.folder import DECIDING, PointFolder
from rocminfra.report.reading.guidellm import GuideLLMReport, read_report, recorded_figures
from rocminfra.report.reading.lines import number, part
from rocminfra.report.reading.requests import Requests, read_requests
from rocminfra.report.reading.timeline import Samples, energy, read_samples

# Share of the prompt's tokens from the prefix cache from which on a result is flattered.
CACHE_WORTH_SAYING = 0.01


@dataclass(frozen=True)
class PointData:
    """A point and all of its requests.

    + report: without price, objectives and prediction
    """

    report: PointReport
    requests: Requests


def read_point(folder: PointFolder) -> PointData:
    """A point; whatever is wrong with its files is among the reasons."""
    record = folder.record
    if record is None:
        reason = f"its record cannot be used: {folder.problem}"
        name = folder.path.name
        return PointData(PointReport(name, Load(name, "unknown"), "failed", (reason,)), Requests())
    report = read_report(folder.path / "report.json")
    figures, wrong = report.figures, list(report.problems)
    if figures is None and record.figures is not None:
        figures, also = recorded_figures(record.figures)
        wrong.extend(also)
    elif figures is not None:
        wrong.extend(_disagreements(figures, record.figures))
    wrong.extend(
        f"not the file that was collected: {text}"
        for text in folder.changed
        if text.partition(": ")[0] in DECIDING
    )
    requests = read_requests(folder.path, report.benchmark)
    if requests.damaged:
        wrong.append(f"{requests.damaged} lines of requests.jsonl cannot be read")
    samples = read_samples(folder.path, record.started, report.window)
    before = read_page(folder.path / "metrics_before.prom")
    after = read_page(folder.path / "metrics_after.prom")
    outcome, reasons = record.outcome, list(record.reasons)
    if wrong and outcome == "valid":
        outcome = "invalid"
    reasons.extend(text for text in wrong if outcome != "failed" and text not in reasons)
    if figures is not None:
        figures = _with_samples(figures, record, samples)
    cached = requests.cached_share
    if cached is None:
        cached = cache_hit_share(before, after)
    found = PointReport(
        name=record.point.name,
        load=load_of(record.point),
        outcome=outcome,
        reasons=tuple(reasons),
        warnings=_warnings(record, report, requests, samples, cached, folder.changed),
        attempts=tuple(
            AttemptSummary(one.number, one.verdict, one.why, one.seconds) for one in record.attempts
        ),
        figures=figures,
        energy=energy(samples, _tokens(figures)) if outcome == "valid" else None,
        started=record.started,
        requests_total=0
        if figures is None
        else figures.completed + figures.errored + figures.incomplete,
        phases=phases(before, after),
        timeline=samples.series,
        requests=requests.samples(record.started),
    )
    return PointData(replace(found, sampled=len(found.requests)), requests)


def load_of(point: Point) -> Load:
    """What a point asks of the engine."""
    return Load(point.label, point.kind, point.streams, point.rate, point.max_concurrency)


def _tokens(figures: Figures | None) -> float | None:
    if figures is None or figures.tokens_per_s is None or figures.duration_s is None:
        return None
    return figures.tokens_per_s * figures.duration_s


def _with_samples(figures: Figures, record: PointRecord, samples: Samples) -> Figures:
    engine, gpu = samples.series.engine, samples.series.gpu
    counted = part(record.engine, "counted")
    preemptions = number(counted.get("preemptions"))
    if preemptions is None and engine:
        preemptions = engine[-1].preemptions
    return replace(
        figures,
        kv_usage_max=_most(moment.kv_usage for moment in engine),
        running_max=_most(moment.running for moment in engine),
        waiting_max=_most(moment.waiting for moment in engine),
        preemptions=preemptions,
        power_mean_w=samples.power_mean_w,
        vram_max_mib=_most(moment.vram_mib for moment in gpu),
    )


def _most(values: object) -> float | None:
    known = [value for value in values if value is not None]  # type: ignore[attr-defined]
    return max(known, default=None)


def _disagreements(figures: Figures, recorded: Mapping[str, object] | None) -> list[str]:
    """What the record that judged a point says otherwise than its report."""
    if recorded is None:
        return []
    pairs = (("completed", figures.completed), ("errored", figures.errored))
    return [
        f"point.json says {recorded[name]} requests {name}, report.json says {count}"
        for name, count in pairs
        if name in recorded and recorded[name] != count
    ]


def _warnings(
    record: PointRecord,
    report: GuideLLMReport,
    requests: Requests,
    samples: Samples,
    cached: float | None,
    changed: tuple[str, ...],
) -> tuple[str, ...]:
    found = [
        f"attempt {one.number} of {len(record.attempts)} was repeated: {one.why or one.verdict}"
        for one in record.attempts[:-1]
    ]
    if cached is not None and cached > CACHE_WORTH_SAYING:
        found.append(
            f"{cached:.0%} of the prompt tokens came from the engine's prefix cache, "
            "which flatters the time to first token and the throughput"
        )
    figures = report.figures
    served = number(part(record.engine, "counted").get("requests"))
    if figures is not None and served is not None:
        outside = round(served) - figures.completed - figures.errored
        if outside > max(figures.incomplete, 0.1 * served):
            found.append(
                f"{outside} of the {served:.0f} requests that the engine served are outside "
                "the measured window and in no figure"
            )
    skipped = record.engine.get("unchecked")
    if isinstance(skipped, (list, tuple)):
        found.extend(f"not compared with the engine's counters: {text}" for text in skipped)
    found.extend(samples.problems)
    warnings = report.benchmark.get("warnings")
    for warning in warnings if isinstance(warnings, list) else ():
        message = part(warning).get("message") or part(warning).get("code")
        if message:
            found.append(f"GuideLLM: {message}")
    found.extend(
        f"not the file that was collected: {text}"
        for text in changed
        if text.partition(": ")[0] not in DECIDING
    )
    return tuple(found)
