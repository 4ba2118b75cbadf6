"""What GuideLLM is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from bench_fakes import scenario

from rocminfra.bench.scenario import load_scenario
from rocminfra.planning.bench.guidellm_spec import spec
from rocminfra.planning.bench.points import Point
from rocminfra.planning.bench.prompts import Place

BENCHMARKS = Path(__file__).parents[4] / "benchmarks"
ENGINE = {
    "target": "http://127.0.0.1:8000/v1",
    "model": "yes",
    "tokenizer": "/m,1/toy",
    "place": Place(),
}


def test_the_second_published_run_as_guidellm_takes_it_today() -> None:
    wanted = load_scenario("docvqa", BENCHMARKS)
    (point,) = (Point("01-concurrent-64", "concurrent", streams=64),)
    made = spec(point, wanted.record, **ENGINE)["spec"]
    assert made["profile"] == {
        "kind": "concurrent",
        "streams": [64],
        "warmup": {"value": 10.0, "mode": "duration"},
    }
    assert made["seed"] == {"kind": "static", "value": 42}
    assert made["constraints"] == [{"kind": "max_duration", "seconds": 120.0}]
    assert made["data"] == [
        {
            "kind": "huggingface",
            "source": "lmms-lab/DocVQA",
            "load_kwargs": {"name": "DocVQA", "split": "validation"},
        }
    ]


@pytest.mark.parametrize(
    ("point", "profile"),
    [
        (Point("a", "synchronous"), {"kind": "synchronous"}),
        (
            Point("a", "throughput", max_concurrency=512),
            {"kind": "throughput", "max_concurrency": 512},
        ),
        (
            Point("a", "constant", rate=0.5, max_concurrency=8),
            {"kind": "constant", "rate": [0.5], "max_concurrency": 8},
        ),
    ],
)
def test_profiles(point: Point, profile: dict[str, object]) -> None:
    values = scenario([{"profile": "throughput"}]).record
    assert spec(point, values, **ENGINE)["spec"]["profile"] == profile


def test_requests_may_end_a_point_earlier() -> None:
    values = scenario([{"profile": "throughput"}], max_requests=7).record
    made = spec(Point("a", "synchronous"), values, **ENGINE)
    assert {"kind": "max_requests", "count": 7} in made["spec"]["constraints"]


def test_names_that_yaml_or_a_comma_would_change_arrive_unchanged() -> None:
    values = scenario([{"profile": "throughput"}]).record
    made = spec(Point("a", "synchronous"), values, **ENGINE)
    again = yaml.safe_load(yaml.safe_dump(made))["spec"]
    assert again["backend"]["model"] == "yes"
    assert again["tokenizer"]["model"] == "/m,1/toy"
