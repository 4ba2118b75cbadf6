"""What others published: data that is whole, honest, and near what is predicted."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from rocminfra.planning.capacity.capacity import capacity
from rocminfra.planning.engine.gpus import GPUS
from rocminfra.planning.prediction.published_runs import (
    PublishedRun,
    predicted_figures,
    published_runs,
    serving_of,
    spec_of,
)

FOLDER = Path(__file__).parents[4] / "benchmarks" / "published"
# Kept apart to check the planner with, so never among its data.
KEPT_APART = (
    "llm-d-planner",
    "llm-d-benchmark",
    "vllm-project/recipes",
    "dev-docker",
    "dstackai",
    "cmontemuino",
    "david-share",
    "dennislee22",
    "oracle",
    "surajssd",
)
# A run of a thousand requests takes seconds to predict: those are for the performance script.
_MOST_REQUESTS = 200


def loaded(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


@cache
def all_runs() -> tuple[PublishedRun, ...]:
    models = loaded("models.yaml")
    found: list[PublishedRun] = []
    for file in sorted(FOLDER.glob("*.yaml")):
        document = loaded(file.name)
        if isinstance(document, dict) and "runs" in document:
            found += published_runs(document, models)
    return tuple(found)


def test_there_are_enough_runs_from_enough_sources() -> None:
    assert len(all_runs()) >= 30
    assert len({run.source for run in all_runs()}) >= 6
    names = [(run.source, run.name) for run in all_runs()]
    assert len(set(names)) == len(names)


def test_nothing_that_was_kept_apart_is_among_them() -> None:
    for file in FOLDER.glob("*.yaml"):
        text = file.read_text(encoding="utf-8").lower()
        assert not [name for name in KEPT_APART if name in text]


def test_every_figure_is_a_number_above_zero() -> None:
    for run in all_runs():
        assert run.figures
        assert all(math.isfinite(value) and value > 0 for value in run.figures.values())


def test_no_published_time_between_tokens_is_below_what_memory_allows() -> None:
    """Nothing measured is faster than the bytes of one step at the published bandwidth."""
    for run in all_runs():
        variant = run.variant
        planned = capacity(variant.spec, variant.gpu, variant.serving, variant.tensor_parallel)
        for name, value in run.figures.items():
            if name in ("tpot_mean_ms", "itl_median_ms"):
                assert value > planned.itl_floor_decoder_s * 1000


def test_small_runs_are_predicted_within_what_the_page_says() -> None:
    errors = [
        abs(value / run.figures[name] - 1)
        for run in all_runs()
        if (run.timing.most_requests or 0) < _MOST_REQUESTS
        for name, value in predicted_figures(run).items()
        if value is not None
    ]
    assert len(errors) > 50
    assert median(errors) < 0.15
    assert sum(error <= 0.2 for error in errors) / len(errors) > 0.6


def test_no_worst_case_promises_more_than_an_engine_had() -> None:
    """Engines since vLLM 0.6: those before counted the buffers of several GPUs in another way."""
    models = loaded("models.yaml")
    checked = 0
    for source in loaded("capacity.yaml"):
        if source["engine"] == "vllm 0.2.4":
            continue
        for given in source["runs"]:
            run = {**source["defaults"], **given}
            spec = spec_of(run, models[run["model"]])
            planned = capacity(spec, GPUS[run["gpu"]], serving_of(run), run["count"])
            assert planned.kv_cache_tokens <= run["kv_cache_tokens"], run["id"]
            assert planned.kv_cache_tokens <= planned.kv_cache_tokens_expected
            assert planned.kv_cache_tokens_expected <= planned.kv_cache_tokens_at_best
            checked += 1
    assert checked >= 10


def test_what_engines_showed_is_what_is_expected() -> None:
    models = loaded("models.yaml")
    (source, *_) = loaded("capacity.yaml")
    for given in source["runs"]:
        run = {**source["defaults"], **given}
        spec = spec_of(run, models[run["model"]])
        planned = capacity(spec, GPUS[run["gpu"]], serving_of(run), run["count"])
        assert abs(planned.kv_cache_tokens_expected / run["kv_cache_tokens"] - 1) < 0.06, run["id"]
