"""What counts as a measured point."""

from __future__ import annotations

from typing import Any

import pytest
from bench_fakes import distribution, report

from rocminfra.planning.bench.guidellm_report import (
    Limits,
    ReportError,
    doubts,
    figures,
    first_error,
)


def test_figures_of_a_good_report() -> None:
    found = figures(report())
    assert (found.completed, found.errored, found.incomplete) == (46, 0, 4)
    assert (found.ttft_p50_ms, found.itl_p50_ms) == (63.0, 5.25)
    assert found.tokens_per_second_total == 2621.0
    assert found.tokens_per_second_completed == 2097.0
    assert found.warnings == ("mean delay was 1%",)
    assert doubts(found, Limits(measured_seconds=5.0)) == ()


def test_zeros_over_nothing_are_no_figures() -> None:
    found = figures(report(completed=0, incomplete=7))
    assert found.ttft_p50_ms is None
    assert found.requests_per_second is None
    assert found.tokens_per_second_completed is None
    assert doubts(found, Limits()) == ("0 requests completed, at least 1 needed",)


def test_a_report_full_of_errors_does_not_count() -> None:
    broken = report(completed=20, errored=528)
    (reason,) = doubts(figures(broken), Limits())
    assert "528 of 548 finished requests failed (96.4%" in reason
    assert first_error(broken) == "500 Internal Server Error"


def test_the_first_error_is_one_line_without_advice() -> None:
    broken = report(completed=1, errored=1)
    error = "HTTPStatusError(\"Server error '500' for url 'x'\\nFor more information check: y\")"
    broken["benchmarks"][0]["requests"]["errored"] = [
        {"info": {"error": None}},
        {"info": {"error": error}},
    ]
    assert first_error(broken) == "HTTPStatusError(\"Server error '500' for url 'x'"


def test_the_error_rate_may_be_allowed() -> None:
    assert doubts(figures(report(completed=98, errored=2)), Limits(max_error_rate=0.02)) == ()
    assert doubts(figures(report(completed=97, errored=3)), Limits(max_error_rate=0.02)) != ()


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("time_to_first_token_ms", "time to first token"),
        ("inter_token_latency_ms", "inter-token latency"),
        ("output_token_count", "output tokens"),
        ("prompt_token_count", "prompt tokens"),
        ("requests_per_second", "requests per second"),
    ],
)
@pytest.mark.parametrize("empty", [None, distribution(0.0, 0), distribution(0.0, 46)])
def test_completed_requests_without_figures_do_not_count(
    metric: str, name: str, empty: Any
) -> None:
    reasons = doubts(figures(report(**{metric: empty})), Limits())
    assert f"no {name} was measured" in reasons


def test_one_token_has_no_time_between_tokens() -> None:
    single = report(
        output_token_count=distribution(1.0, 46), inter_token_latency_ms=distribution(0.0, 0)
    )
    assert doubts(figures(single), Limits()) == ()


def test_a_point_that_was_cut_short_does_not_count() -> None:
    assert doubts(figures(report(duration=2.4)), Limits(measured_seconds=5.0)) == (
        "measured for 2.4 s of 5 s: cut short by requests_exhausted",
    )


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({}, "metadata"),
        ({"metadata": {"version": 1}, "benchmarks": []}, "version 1"),
        ({"metadata": {"version": 2}}, "no list of benchmarks"),
        ({"metadata": {"version": 2}, "benchmarks": []}, "0 benchmarks"),
        ({"metadata": {"version": 2}, "benchmarks": [1]}, "not an object"),
        ({"metadata": {"version": 2}, "benchmarks": [{}, {}]}, "2 benchmarks"),
        ({"metadata": {"version": 2}, "benchmarks": [{}]}, "metrics"),
        (report(request_totals={"successful": "46"}), "request_totals.successful"),
    ],
)
def test_a_report_that_cannot_be_read_says_why(broken: dict[str, Any], says: str) -> None:
    with pytest.raises(ReportError, match=says):
        figures(broken)


def test_pixels_of_images_are_found() -> None:
    pixels = {"pixels": {"input": distribution(3_740_000.0, 46)}}
    assert figures(report(image=pixels)).image_pixels_mean == 3_740_000.0
    assert figures(report()).image_pixels_mean is None


def test_objectives_are_figures_too() -> None:
    written = report()
    metrics = written["benchmarks"][0]["metrics"]
    assert figures(written).slo_attainment is None
    metrics["slo_attainment"] = 0.75
    metrics["request_goodput"] = distribution(6.5, count=34)
    found = figures(written)
    assert (found.slo_attainment, found.goodput_requests_per_second) == (0.75, 6.5)
    assert doubts(found, Limits(measured_seconds=5.0)) == ()


def test_more_than_all_requests_cannot_meet_the_objectives() -> None:
    written = report()
    written["benchmarks"][0]["metrics"]["slo_attainment"] = 1.5
    found = figures(written)
    assert found.slo_attainment is None
    assert "slo_attainment is 1.5, above 1" in doubts(found, Limits())[0]
