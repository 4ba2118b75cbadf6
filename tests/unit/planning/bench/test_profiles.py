"""GuideLLM's profiles: of points, of whole stages, and the trace of bursts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from rocminfra.bench.scenario_data import SyntheticText, guidellm_keys
from rocminfra.planning.bench.points import Point, Stage
from rocminfra.planning.bench.profiles import (
    BETWEEN_S,
    load_seconds,
    most_points,
    profile,
    trace,
    whole_stage,
)

DATA = {"kind": "synthetic_text", "prompt_tokens": 128, "output_tokens": 32}


def whole(stage: Stage) -> dict[str, object]:
    return profile(Point("01-x", stage.kind, stage=1), [stage])


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (
            Stage("sweep", size=10, native=True),
            {"kind": "sweep", "sweep_size": 10, "max_concurrency": 512},
        ),
        (Stage("concurrent", streams=(64,), native=True), {"kind": "concurrent", "streams": [64]}),
        (
            Stage("poisson", rates=(1.0, 2.0), native=True, max_concurrency=9),
            {"kind": "poisson", "rate": [1.0, 2.0], "max_concurrency": 9},
        ),
        (
            Stage("goodput", options={"target_attainment": 0.9, "max_probes": 5}),
            {"kind": "goodput", "target_attainment": 0.9, "max_probes": 5},
        ),
        (
            Stage("knee", streams=(1, 2, 3, 4, 5), options={"adaptive": True}),
            {"kind": "knee", "initial_streams": [1, 2, 3, 4, 5], "adaptive": True},
        ),
    ],
)
def test_a_whole_stage(stage: Stage, expected: dict[str, object]) -> None:
    assert whole(stage) == expected


def test_a_ramp_is_guidellms_own() -> None:
    point = Point("a", "concurrent", streams=8, ramp_seconds=5)
    assert profile(point, []) == {"kind": "concurrent", "streams": [8], "rampup_duration": 5}


def test_bursts_are_a_trace_of_requests_at_the_same_time() -> None:
    point = Point("a", "bursts", burst_requests=3, every_seconds=10)
    assert profile(point, [])["kind"] == "replay"
    rows = traced(point, DATA)
    assert [row["timestamp"] for row in rows[:-1]] == [0, 0, 0, 10, 10, 10, 20, 20, 20]
    assert {(row["input_length"], row["output_length"]) for row in rows} == {(128, 32)}
    assert trace(Point("a", "synchronous"), DATA, 25, 42) is None


def test_a_trace_lasts_longer_than_its_point_so_that_what_follows_the_last_burst_is_measured() -> (
    None
):
    point = Point("a", "bursts", burst_requests=3, every_seconds=10)
    last = traced(point, DATA)[-1]
    assert last["timestamp"] > 25 + 180, "also when the point starts late"


def test_prompts_of_bursts_are_as_long_as_the_scenario_says() -> None:
    point = Point("a", "bursts", burst_requests=200, every_seconds=10)
    asked = {"kind": "synthetic_text", "prompt_tokens": 400, "output_tokens": 8}
    shared = guidellm_keys(SyntheticText.model_validate({**asked, "prefix_share": 0.5}))
    assert {row["input_length"] for row in traced(point, shared)} == {400}
    rows = traced(point, {**DATA, "prompt_tokens_stdev": 20})
    lengths = [row["input_length"] for row in rows]
    assert rows == traced(point, {**DATA, "prompt_tokens_stdev": 20}), "the same in every run"
    assert 100 < sum(lengths) / len(lengths) < 150
    assert 28 <= min(lengths) < 118
    assert 138 < max(lengths) <= 228
    assert {row["output_length"] for row in rows} == {32}


def traced(point: Point, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (trace(point, data, 25, 42) or "").splitlines()]


def test_a_whole_stage_takes_as_long_as_its_points_and_what_is_between_them() -> None:
    point = Point("a", "synchronous")
    assert load_seconds(point, [], 30) == 30
    stages = [Stage("sweep", size=10, native=True, repeat=2)]
    process = Point("01-sweep", "sweep", stage=1)
    assert load_seconds(process, stages, 300) == 10 * 300 + 9 * BETWEEN_S


def test_the_process_of_a_whole_stage_is_known_by_its_name() -> None:
    stages = [Stage("sweep", size=3), Stage("sweep", size=3, native=True, repeat=2)]
    for name in ("02-sweep", "02-sweep-again-2"):
        assert whole_stage(name, stages) == Point(name, "sweep", stage=2)
    for name in ("01-sweep", "02-sweep-synchronous", "", "03-goodput"):
        assert whole_stage(name, stages) is None


@pytest.mark.parametrize(
    ("stage", "count"),
    [
        (Stage("sweep", size=7, repeat=3), 7),
        (Stage("goodput", options={"max_probes": 6}), 6),
        (Stage("goodput"), 15),
        (Stage("knee", streams=(1, 2, 4, 8, 16)), 5),
        (Stage("knee", streams=(1, 2, 4, 8, 16), options={"adaptive": True}), 16),
        (Stage("poisson", rates=(1.0, 2.0)), 2),
    ],
)
def test_most_points_of_a_stage(stage: Stage, count: int) -> None:
    assert most_points(stage) == count
