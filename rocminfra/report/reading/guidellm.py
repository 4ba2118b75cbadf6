"""GuideLLM's ``report.json`` of a point: the distributions and the measured window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rocminfra.planning.bench import guidellm_report
from rocminfra.planning.bench.guidellm_report import Figures as JudgedFigures
from rocminfra.planning.bench.guidellm_report import ReportError
from rocminfra.planning.bench.possible import number_problem
from rocminfra.report.point_report import Figures, Percentiles
from rocminfra.report.reading.lines import UnreadableError, number, part, read_object

NOTHING = Percentiles(None, None, None)


@dataclass(frozen=True)
class GuideLLMReport:
    """What ``report.json`` says.

    + benchmark: its only benchmark; empty when the file cannot be used
    + figures: None when it cannot be used
    + window: Unix times of the measured window
    + problems: why the point is not a measurement, a sentence each
    """

    benchmark: Mapping[str, Any] = field(default_factory=dict)
    figures: Figures | None = None
    window: tuple[float, float] | None = None
    problems: tuple[str, ...] = ()


def read_report(path: Path) -> GuideLLMReport:
    """A point's ``report.json``."""
    try:
        report = read_object(path)
        if report is None:
            return GuideLLMReport(problems=(f"{path.name} is missing",))
        judged = guidellm_report.figures(report)
    except (UnreadableError, ReportError) as error:
        return GuideLLMReport(problems=(f"{path.name} cannot be used: {error}",))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        why = f"{type(error).__name__}: {error}"
        return GuideLLMReport(problems=(f"{path.name} is not what GuideLLM writes: {why}",))
    benchmark = report["benchmarks"][0]
    metrics = part(benchmark, "metrics")
    problems = list(judged.impossible)
    if judged.completed == 0:
        problems.append("no request was completed")
    return GuideLLMReport(
        benchmark,
        _figures(judged, metrics),
        _window(benchmark),
        tuple(problems),
    )


def recorded_figures(values: Mapping[str, Any]) -> tuple[Figures | None, tuple[str, ...]]:
    """Figures of a ``point.json``, for a point whose ``report.json`` cannot be used.

    Also says which of them cannot be.
    """
    counts = [number(values.get(name)) for name in ("completed", "errored", "incomplete")]
    wrong = tuple(
        f"point.json: {name} is {problem}"
        for name, value in values.items()
        if (problem := number_problem(value)) is not None
    )
    if any(count is None or count < 0 for count in counts):
        return None, (*wrong, "point.json says no number of requests")
    completed, errored, incomplete = (int(count) for count in counts if count is not None)

    def figure(name: str) -> float | None:
        value = values.get(name)
        return None if number_problem(value) is not None else number(value)

    def seconds(name: str) -> float | None:
        value = figure(name)
        return None if value is None else value / 1000

    found = Figures(
        completed=completed,
        errored=errored,
        incomplete=incomplete,
        duration_s=figure("duration_s"),
        requests_per_s=figure("requests_per_second"),
        tokens_per_s=figure("tokens_per_second_total"),
        completed_tokens_per_s=figure("tokens_per_second_completed"),
        output_tokens_per_s=figure("output_tokens_per_second"),
        ttft_s=Percentiles(seconds("ttft_p50_ms"), seconds("ttft_p95_ms"), None),
        itl_s=Percentiles(seconds("itl_p50_ms"), seconds("itl_p95_ms"), None),
        latency_s=NOTHING,
        prompt_tokens_median=figure("prompt_tokens_p50"),
        output_tokens_median=figure("output_tokens_p50"),
        image_pixels_mean=figure("image_pixels_mean"),
    )
    return found, wrong


def _figures(judged: JudgedFigures, metrics: Mapping[str, Any]) -> Figures:
    return Figures(
        completed=judged.completed,
        errored=judged.errored,
        incomplete=judged.incomplete,
        duration_s=judged.duration_s,
        requests_per_s=judged.requests_per_second,
        tokens_per_s=judged.tokens_per_second_total,
        completed_tokens_per_s=judged.tokens_per_second_completed,
        output_tokens_per_s=judged.output_tokens_per_second,
        ttft_s=_percentiles(metrics, "time_to_first_token_ms", 1000),
        # One token has no time between tokens, and GuideLLM's zero is none.
        itl_s=_percentiles(metrics, "inter_token_latency_ms", 1000)
        if judged.itl_p50_ms
        else NOTHING,
        latency_s=_percentiles(metrics, "request_latency", 1),
        prompt_tokens_median=judged.prompt_tokens_p50,
        output_tokens_median=judged.output_tokens_p50,
        image_pixels_mean=judged.image_pixels_mean,
        concurrency_mean=_possible(part(metrics, "request_concurrency", "total").get("mean")),
    )


def _percentiles(metrics: Mapping[str, Any], name: str, divisor: float) -> Percentiles:
    found = part(metrics, name, "successful")
    if not found.get("count"):
        return NOTHING
    percentiles = part(found, "percentiles")

    def figure(value: object) -> float | None:
        known = _possible(value)
        return None if known is None else known / divisor

    return Percentiles(
        figure(found.get("median")),
        figure(percentiles.get("p95")),
        figure(percentiles.get("p99")),
    )


def _possible(value: object) -> float | None:
    return None if number_problem(value) is not None else number(value)


def _window(benchmark: Mapping[str, Any]) -> tuple[float, float] | None:
    start, end = number(benchmark.get("start_time")), number(benchmark.get("end_time"))
    return None if start is None or end is None or end <= start else (start, end)
