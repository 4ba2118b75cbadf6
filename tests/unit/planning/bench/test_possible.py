"""Figures from outside that cannot be: they make a point invalid, with the reason."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from bench_fakes import distribution, population, report
from hypothesis import given, settings
from hypothesis import strategies as st

from rocminfra.host.bench.telemetry import engine_reasons, engine_sample
from rocminfra.planning.bench.guidellm_report import Limits, ReportError, doubts, figures
from rocminfra.planning.bench.possible import (
    counted,
    gpu_problems,
    number_problem,
)
from rocminfra.planning.bench.possible_report import distribution_problem, report_problems

CASES = Path(__file__).parent / "impossible"


def reasons(case: dict[str, Any]) -> tuple[str, ...]:
    return doubts(figures(case), Limits())


@pytest.mark.parametrize(
    ("case", "named"),
    [
        ("negative-ttft", "time_to_first_token_ms of completed requests: median is -1,750,878,354"),
        ("nan-itl", "inter_token_latency_ms of completed requests: median is nan, which is no"),
    ],
)
def test_cases_of_the_field(case: str, named: str) -> None:
    found = json.loads((CASES / f"{case}.json").read_text(encoding="utf-8"))
    (reason,) = reasons(found)
    assert reason.startswith(f"impossible figure of GuideLLM: {named}")
    # What is impossible is not a figure, least of all in JSON.
    text = json.dumps(figures(found).as_dict(), allow_nan=False)
    assert "-17508" not in text


def test_two_engines_are_not_fuller_than_full() -> None:
    page = (CASES / "dp2.prom").read_text(encoding="utf-8")
    assert engine_sample(page) == {"kv_cache_usage": 0.71, "running": 23.0}
    assert engine_reasons(page) == []


def test_what_can_be_has_no_reasons() -> None:
    assert reasons(report()) == ()
    assert reasons(report(completed=2, errored=1, incomplete=0)) != ()
    assert report_problems(report(completed=0)["benchmarks"][0]) == ()


def changed(**values: Any) -> dict[str, Any]:
    made = distribution(63.0, 46)
    whole = {**population(63.0, 46), "min": 60.0, "max": 70.0, "mean": 64.0, "total_sum": 2_944.0}
    made["successful"] = {**whole, **values}
    return made


# Siblings: other figures, and other ways of being impossible.
@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"median": 59.0}, "median is 59.0, below the least of 60.0"),
        ({"mean": 71.0, "total_sum": None}, "mean is 71.0, above the most of 70.0"),
        ({"min": 65.0}, "min is 65.0 and p50 only 63.0"),
        ({"percentiles": {"p50": 63.0, "p95": 62.0}}, "p50 is 63.0 and p95 only 62.0"),
        ({"percentiles": {"p95": math.inf}}, "p95 is inf, which is not a number"),
        ({"total_sum": 9_000.0}, "46 of them with a mean of 64.0 do not add up to 9,000.0"),
        ({"std_dev": -1.0}, "std_dev is -1.0, below 0"),
        ({"max": 10**400}, "max is beyond all that is measured"),
        ({"median": 61.0}, "median is 61.0 and p50 63.0"),
        ({"median": 66.0, "percentiles": {"p95": 65.0}}, "p50 is 66.0 and p95 only 65.0"),
        ({"mode": 71.0}, "mode is 71.0, above the most of 70.0"),
        ({"mean": "64.0"}, 'mean is "64.0", which is not a number'),
        ({"median": None}, "median is null, which is not a number"),
        ({"percentiles": {"p95": "63 ms"}}, 'p95 is "63 ms", which is not a number'),
        ({"percentiles": {"p95": True}}, "p95 is true, which is not a number"),
        ({"percentiles": None}, "it has no percentiles"),
        ({"max": 1e30}, "max is 1e+30, above 1e+08"),
        ({"count": 2.5}, "count is 2.5, and half of something is not counted"),
        ({"count": "46"}, 'count is "46", which is not a number'),
        ({"count": 0}, "count is 0, and median 63.0"),
        ({"count": 47, "total_sum": 3_008.0}, "count is 47, and 46 requests completed"),
    ],
)
def test_statistics_that_contradict_each_other(values: dict[str, Any], named: str) -> None:
    (reason,) = reasons(report(request_latency=changed(**values)))
    assert named in reason
    assert "request_latency of completed requests" in reason


def test_all_requests_together_are_a_figure_too() -> None:
    impossible = distribution(2_097.0, 46, total=math.nan)
    (reason,) = reasons(report(tokens_per_second=impossible))
    assert "tokens_per_second of all requests" in reason


def test_a_mediums_figures_are_one_level_deeper() -> None:
    image = {"pixels": {"input": distribution(-3.0, 46)}}
    (reason,) = reasons(report(image=image))
    assert "image.pixels.input of completed requests" in reason


def test_what_was_cut_off_is_no_figure_of_ours() -> None:
    cut = distribution(63.0, 46)
    cut["incomplete"] = population(-1_750_878_354_510.5, 4)
    assert reasons(report(time_to_first_token_ms=cut)) == ()


@pytest.mark.parametrize(
    ("totals", "named"),
    [
        ({"successful": -1, "errored": 0, "incomplete": 0, "total": -1}, "successful is -1, below"),
        ({"successful": 46, "errored": 0, "incomplete": 4, "total": 46}, "46 + 0 + 4 requests"),
    ],
)
def test_requests_add_up(totals: dict[str, int], named: str) -> None:
    found = reasons(report(request_totals=totals))
    assert any(named in reason for reason in found)


def test_a_window_of_negative_length() -> None:
    assert "duration is -5.0, below 0" in reasons(report(duration=-5.0))[0]


@pytest.mark.parametrize(
    ("window", "named"),
    [
        ({"duration": 0}, "duration is 0, and 46 requests completed in it"),
        ({"duration": None}, "duration is null, which is not a number"),
        ({"duration": "5.0"}, 'duration is "5.0", which is not a number'),
        ({"duration": 1e30}, "duration is 1e+30, above 1e+08"),
        ({"start_time": 10.0, "end_time": 5.0}, "its end is -5.0 s after its start"),
        ({"start_time": 1.7e9, "end_time": 1.7e9 + 5_000}, "and its duration 5.0 s"),
        ({"start_time": math.nan, "end_time": 5.0}, "start_time is nan, which is not a number"),
    ],
)
def test_windows_that_cannot_be(window: dict[str, Any], named: str) -> None:
    benchmark = {**report()["benchmarks"][0], **window}
    (reason,) = report_problems(benchmark)
    assert named in reason


def test_a_first_token_comes_before_the_last() -> None:
    """Times in seconds where milliseconds are wanted, and the other way round."""
    late = report(request_latency=changed(max=0.062, min=0.05, median=0.06, mean=0.06))
    late["benchmarks"][0]["metrics"]["request_latency"]["successful"] |= {
        "percentiles": {"p50": 0.06},
        "total_sum": 2.76,
    }
    (reason,) = reasons(late)
    assert "a first token came after 63.0 ms, and no request took longer than 62.0 ms" in reason


def test_tokens_are_no_further_apart_than_their_request_is_long() -> None:
    whole = population(0.7, 46)
    latency = {**distribution(0.7, 46), "successful": {**whole, "max": 0.8}}
    assert reasons(report(request_latency=latency)) == ()
    (reason,) = reasons(
        report(request_latency=latency, inter_token_latency_ms=distribution(801.0, 46))
    )
    assert "the time between two tokens was 801.0 ms, and no request took longer than" in reason


@settings(max_examples=400)
@given(
    st.sampled_from(["time_to_first_token_ms", "request_totals", "tokens_per_second"]),
    st.sampled_from(["successful", "total", "percentiles", "count", "median", "odd"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
        lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    ),
)
def test_whatever_a_report_says_it_is_judged(metric: str, key: str, value: Any) -> None:
    """Never a traceback; and what counts as measured has figures that are numbers."""
    made = report()
    part = made["benchmarks"][0]["metrics"][metric]
    inner = part if metric == "request_totals" or key in ("successful", "total") else None
    (part["successful"] if inner is None else inner)[key] = value
    try:
        found = figures(made)
    except ReportError:
        return
    if not doubts(found, Limits()):
        json.dumps(found.as_dict(), allow_nan=False)
        assert found.ttft_p50_ms


def test_many_reasons_are_a_few() -> None:
    names = [f"metric_{number}" for number in range(9)]
    found = reasons(report(**{name: distribution(math.nan, 46) for name in names}))
    assert len(found) == 5
    assert found[-1] == "and 5 more that cannot be"


@pytest.mark.parametrize("value", [None, "N/A", True, 0, 0.0, 5.5])
def test_numbers_that_can_be(value: object) -> None:
    assert number_problem(value) is None


def test_nothing_over_nothing_is_in_order() -> None:
    assert distribution_problem(population(0.0, 0)) is None
    assert distribution_problem({"count": 0, "mean": math.nan}) is None


@pytest.mark.parametrize(
    ("page", "named"),
    [
        ('vllm:kv_cache_usage_perc{engine="0"} 1.39\n', "kv_cache_usage_perc is 1.39, above 1"),
        ("vllm:num_requests_running NaN\n", "num_requests_running is nan, which is not a number"),
        ('vllm:prompt_tokens_total{engine="1"} -4\n', "prompt_tokens_total is -4.0, below 0"),
        ("vllm:num_requests_waiting +Inf\n", "num_requests_waiting is inf"),
    ],
)
def test_what_the_engine_says(page: str, named: str) -> None:
    (reason,) = engine_reasons(page)
    assert named in reason
    assert engine_sample(page) == {}


@pytest.mark.parametrize(
    ("figure", "value", "named"),
    [
        ("gfx_activity_percent", 65_535.0, "GPU 0: gfx_activity_percent is 65,535.0, above 100"),
        ("power_w", 65_535.0, "power_w is 65,535.0, above 5000"),
        ("power_w", 6_553.5, "power_w is 6,553.5, above 5000"),
        ("temperature_mem_c", 655.35, "temperature_mem_c is 655.35, above 200"),
        ("power_w", -3.0, "power_w is -3.0, below 0"),
        ("temperature_hotspot_c", math.nan, "temperature_hotspot_c is nan"),
        ("vram_used_mib", 200_000.0, "vram_used_mib is 200,000.0 of 196,288.0"),
        ("energy_j", -1.0, "energy_j is -1.0, below 0"),
    ],
)
def test_what_amd_smi_says(figure: str, value: float, named: str) -> None:
    sample = {"gpu": 0, "power_w": 612.0, "vram_total_mib": 196_288.0, "vram_used_mib": None}
    assert gpu_problems(sample) == ()
    (reason,) = gpu_problems({**sample, figure: value})
    assert named in reason


def test_a_sensor_that_a_virtual_gpu_lacks_makes_no_point_invalid() -> None:
    busy = {"gpu": 0, "power_w": 0.0, "gfx_activity_percent": 97.0}
    assert gpu_problems(busy) == ()


def test_a_series_is_there_twice_whatever_the_order_of_its_labels() -> None:
    page = 'vllm:num_requests_running{engine="0",model_name="a"} 1\n'
    again = 'vllm:num_requests_running{model_name="a", engine="0"} 1\n'
    (reason,) = engine_reasons(page + again)
    assert reason.endswith("num_requests_running is there twice")
    assert engine_reasons(page + again.replace('"0"', '"1"')) == []


def test_a_reason_that_came_often_is_said_once() -> None:
    many = [f"impossible figure of the engine: usage is {value}, above 1" for value in (1.4, 1.5)]
    other = "impossible figure of GPU 0: power_w is -3.0, below 0"
    assert counted([*many, other]) == (f"{many[0]} (in 2 samples)", other)
