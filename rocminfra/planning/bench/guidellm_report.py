"""What a GuideLLM report says, and whether a point that made it counts as measured.

GuideLLM exits 0 and writes a complete-looking report when 528 of 548 requests were answered 500,
and a distribution over nothing is all zeros: so ``count`` is read before any other figure, and a
figure over nothing is None.

Written against report version 2 of GuideLLM 0.8.1. Standard library only: this module also runs
on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rocminfra.planning.bench.possible import number_problem
from rocminfra.planning.bench.possible_report import report_problems

REPORT_VERSION = 2
# A point that ends before this part of its time was cut short by something.
SHORTEST_PART = 0.5


class ReportError(ValueError):
    """A report that cannot be read; the message says what is wrong with it."""


@dataclass(frozen=True)
class Limits:
    """What a point needs in order to count.

    + min_completed: successful requests, at least
    + max_error_rate: part of the finished requests that may have failed, 0 to 1
    + measured_seconds: length of the window that should have been measured, warm-up taken off;
      None when requests were counted instead
    """

    min_completed: int = 1
    max_error_rate: float = 0.0
    measured_seconds: float | None = None


@dataclass(frozen=True)
class Figures:
    """Figures of one point; None where nothing was measured.

    + completed, errored, incomplete: requests
    + duration_s: length of the measured window
    + ttft_p50_ms, ttft_p95_ms: time to first token of completed requests
    + itl_p50_ms, itl_p95_ms: time between tokens of completed requests
    + requests_per_second: completed requests
    + tokens_per_second_total: tokens in and out of all requests, the unfinished ones' included
      (GuideLLM's console shows this one)
    + tokens_per_second_completed: tokens in and out of completed requests only
    + output_tokens_per_second: tokens out of completed requests
    + prompt_tokens_p50, output_tokens_p50: tokens of a completed request
    + image_pixels_mean: pixels of a completed request's images
    + ended_by: what made it stop, such as ``max_duration``, or ``requests_exhausted`` for data
      that ran out
    + warnings: GuideLLM's own doubts
    + impossible: why figures of the report cannot be; such a figure is None here
    + slo_attainment: part of the completed and failed requests that meet the scenario's objectives,
      0 to 1
    + goodput_requests_per_second: how many of them a second
    """

    completed: int
    errored: int
    incomplete: int
    duration_s: float | None
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    itl_p50_ms: float | None
    itl_p95_ms: float | None
    requests_per_second: float | None
    tokens_per_second_total: float | None
    tokens_per_second_completed: float | None
    output_tokens_per_second: float | None
    prompt_tokens_p50: float | None
    output_tokens_p50: float | None
    image_pixels_mean: float | None
    ended_by: str | None
    warnings: tuple[str, ...]
    impossible: tuple[str, ...] = ()
    slo_attainment: float | None = None
    goodput_requests_per_second: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is impossible is among a point's reasons."""
        values = {**asdict(self), "warnings": list(self.warnings)}
        del values["impossible"]
        return values


def figures(report: Mapping[str, Any]) -> Figures:
    """Figures of a report with one benchmark.

    + report: the parsed JSON report

    Raises :class:`ReportError` for a report of another version, with no or several benchmarks,
    or without the parts that every report has.
    """
    benchmark = _only_benchmark(report)
    metrics = _part(benchmark, "metrics")
    totals = _part(metrics, "request_totals")
    return Figures(
        completed=_count(totals, "successful"),
        errored=_count(totals, "errored"),
        incomplete=_count(totals, "incomplete"),
        duration_s=_number(benchmark.get("duration")),
        ttft_p50_ms=_statistic(metrics, "time_to_first_token_ms", "successful", "median"),
        ttft_p95_ms=_percentile(metrics, "time_to_first_token_ms", "p95"),
        itl_p50_ms=_statistic(metrics, "inter_token_latency_ms", "successful", "median"),
        itl_p95_ms=_percentile(metrics, "inter_token_latency_ms", "p95"),
        requests_per_second=_statistic(metrics, "requests_per_second", "successful", "mean"),
        tokens_per_second_total=_statistic(metrics, "tokens_per_second", "total", "mean"),
        tokens_per_second_completed=_statistic(metrics, "tokens_per_second", "successful", "mean"),
        output_tokens_per_second=_statistic(
            metrics, "output_tokens_per_second", "successful", "mean"
        ),
        prompt_tokens_p50=_statistic(metrics, "prompt_token_count", "successful", "median"),
        output_tokens_p50=_statistic(metrics, "output_token_count", "successful", "median"),
        image_pixels_mean=_image_pixels(metrics),
        ended_by=_ended_by(benchmark),
        warnings=_warnings(benchmark),
        impossible=report_problems(benchmark),
        slo_attainment=_share(metrics.get("slo_attainment")),
        goodput_requests_per_second=_statistic(metrics, "request_goodput", "successful", "mean"),
    )


def doubts(found: Figures, limits: Limits) -> tuple[str, ...]:
    """Why a point does not count as measured, a reason each; empty when it does.

    + found: what its report says
    + limits: what it needs
    """
    reasons: list[str] = list(found.impossible)
    if found.completed < limits.min_completed:
        reasons.append(
            f"{found.completed} requests completed, at least {limits.min_completed} needed"
        )
    ended = found.completed + found.errored
    if ended and found.errored / ended > limits.max_error_rate:
        reasons.append(
            f"{found.errored} of {ended} finished requests failed "
            f"({found.errored / ended:.1%}, at most {limits.max_error_rate:.1%} allowed)"
        )
    if found.completed and not found.impossible:
        reasons.extend(_empty_figures(found))
    if (
        limits.measured_seconds is not None
        and found.duration_s is not None
        and found.duration_s < SHORTEST_PART * limits.measured_seconds
    ):
        reasons.append(
            f"measured for {found.duration_s:.1f} s of {limits.measured_seconds:g} s: "
            f"cut short by {found.ended_by or 'something unknown'}"
        )
    return tuple(reasons)


def first_error(report: Mapping[str, Any]) -> str | None:
    """What the first failed request of a report says, or None when no record says anything."""
    benchmark = _only_benchmark(report)
    requests = benchmark.get("requests")
    errored = requests.get("errored") if isinstance(requests, Mapping) else None
    for request in errored or ():
        info = request.get("info") if isinstance(request, Mapping) else None
        error = info.get("error") if isinstance(info, Mapping) else None
        if error:
            # Often the repr of an exception, whose further lines are advice.
            return " ".join(str(error).partition("\\n")[0].split())
    return None


def _only_benchmark(report: Mapping[str, Any]) -> Mapping[str, Any]:
    version = _part(report, "metadata").get("version")
    if version != REPORT_VERSION:
        raise ReportError(f"report version {version!r}, {REPORT_VERSION} expected")
    benchmarks = report.get("benchmarks")
    if not isinstance(benchmarks, list) or len(benchmarks) != 1:
        count = len(benchmarks) if isinstance(benchmarks, list) else "no list of"
        raise ReportError(f"{count} benchmarks in the report, exactly one expected")
    if not isinstance(benchmarks[0], Mapping):
        raise ReportError("the benchmark in the report is not an object")
    return benchmarks[0]


def _part(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = value.get(key)
    if not isinstance(part, Mapping):
        raise ReportError(f"the report has no {key!r}")
    return part


def _count(totals: Mapping[str, Any], population: str) -> int:
    value = totals.get(population)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ReportError(f"request_totals.{population} is {value!r}, a number expected")
    return value


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if number_problem(value) is None else None


def _share(value: object) -> float | None:
    number = _number(value)
    return None if number is None or number_problem(number, 1.0) is not None else number


def _population(
    metrics: Mapping[str, Any], metric: str, population: str
) -> Mapping[str, Any] | None:
    distribution = metrics.get(metric)
    if not isinstance(distribution, Mapping):
        return None
    part = distribution.get(population)
    if not isinstance(part, Mapping) or not part.get("count"):
        return None
    return part


def _statistic(
    metrics: Mapping[str, Any], metric: str, population: str, statistic: str
) -> float | None:
    part = _population(metrics, metric, population)
    return None if part is None else _number(part.get(statistic))


def _percentile(metrics: Mapping[str, Any], metric: str, name: str) -> float | None:
    part = _population(metrics, metric, "successful")
    percentiles = None if part is None else part.get("percentiles")
    return _number(percentiles.get(name)) if isinstance(percentiles, Mapping) else None


def _image_pixels(metrics: Mapping[str, Any]) -> float | None:
    # The figures of a medium are one level deeper: image.pixels.input.successful.
    image = metrics.get("image")
    pixels = image.get("pixels") if isinstance(image, Mapping) else None
    return _statistic(pixels, "input", "successful", "mean") if pixels else None


def _ended_by(benchmark: Mapping[str, Any]) -> str | None:
    state = benchmark.get("scheduler_state")
    constraints = state.get("end_queuing_constraints") if isinstance(state, Mapping) else None
    return ", ".join(constraints) or None if isinstance(constraints, Mapping) else None


def _warnings(benchmark: Mapping[str, Any]) -> tuple[str, ...]:
    found = benchmark.get("warnings")
    if not isinstance(found, list):
        return ()
    return tuple(
        str(item.get("message", item.get("code", "")))
        for item in found
        if isinstance(item, Mapping)
    )


def _empty_figures(found: Figures) -> list[str]:
    needed = {
        "time to first token": found.ttft_p50_ms,
        "requests per second": found.requests_per_second,
        "prompt tokens": found.prompt_tokens_p50,
        "output tokens": found.output_tokens_p50,
    }
    # One token has no time between tokens.
    if found.output_tokens_p50 is not None and found.output_tokens_p50 >= 2:
        needed["inter-token latency"] = found.itl_p50_ms
    return [f"no {name} was measured" for name, value in needed.items() if not value]
