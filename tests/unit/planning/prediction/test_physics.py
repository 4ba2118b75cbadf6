"""Predictions keep to what no machine can break: identities of rates, order, and monotony."""

from __future__ import annotations

import itertools
from functools import cache

import pytest
from model_files import model

from rocminfra.planning.bench.points import Point
from rocminfra.planning.capacity.capacity import Serving
from rocminfra.planning.engine.gpus import GPUS
from rocminfra.planning.prediction.point_figures import PointFigures, Spread
from rocminfra.planning.prediction.predict import Timing, Variant, predict_point
from rocminfra.planning.prediction.workload import SyntheticText

STREAMS = (1, 8, 32)
PROMPTS = (128, 2_048)
OUTPUT = 24
# Models and GPUs whose KV cache holds all of these streams: where it does not, requests wait, and
# a bigger load may well mean a shorter time between tokens.
ENGINES = [
    *itertools.product(
        ("llama-3.1-8b-instruct", "qwen3-30b-a3b"), ("mi300x", "h100-80", "h200"), (1, 4)
    ),
    *itertools.product(("mixtral-8x7b-instruct-v0.1",), ("mi325x", "a100-80"), (4, 8)),
    *itertools.product(("llama-3.1-70b-instruct",), ("mi300x", "mi325x", "a100-80"), (8,)),
]


@cache
def predicted(name: str, gpu: str, count: int, streams: int, prompt: int) -> PointFigures:
    serving = Serving(utilization=0.9, max_model_len=4_096, max_num_seqs=64)
    variant = Variant(model(name), GPUS[gpu], serving, count)
    point = Point("physics", "concurrent", streams=streams)
    timing = Timing(3_600, 0, 3 * streams)
    return predict_point(variant, point, SyntheticText(prompt, OUTPUT, 0), timing).figures


def of(spread: Spread | None) -> Spread:
    assert spread is not None
    return spread


@pytest.mark.parametrize(("name", "gpu", "count"), ENGINES)
def test_rates_and_times_fit_together(name: str, gpu: str, count: int) -> None:
    for streams, prompt in itertools.product(STREAMS, PROMPTS):
        found = predicted(name, gpu, count, streams, prompt)
        for one in map(of, (found.ttft, found.itl, found.tpot, found.gap, found.latency)):
            assert 0 < one.median <= one.p95 <= one.p99
            assert one.mean > 0
        assert found.completed == 3 * streams
        assert found.duration_s * found.requests_per_second == pytest.approx(found.completed)
        a_request = found.output_tokens_per_s_completed / found.requests_per_second
        assert a_request == pytest.approx(OUTPUT)
        assert found.tokens_per_s_completed == pytest.approx(
            found.requests_per_second * (prompt + OUTPUT)
        )
        # Little: as many are in flight as come a second, times how long each stays.
        in_flight = found.requests_per_second * of(found.latency).mean
        assert 0.6 * streams < in_flight < streams * 1.0001
        assert of(found.latency).mean == pytest.approx(
            of(found.ttft).mean + of(found.tpot).mean * (OUTPUT - 1)
        )


@pytest.mark.parametrize(("name", "gpu", "count"), ENGINES)
def test_more_load_is_no_faster_for_one_and_no_slower_for_all(
    name: str, gpu: str, count: int
) -> None:
    for prompt in PROMPTS:
        runs = [predicted(name, gpu, count, streams, prompt) for streams in STREAMS]
        for less, more in itertools.pairwise(runs):
            assert of(more.tpot).mean >= of(less.tpot).mean * 0.99
            assert of(more.ttft).mean >= of(less.ttft).mean * 0.99
            assert more.tokens_per_s_completed >= less.tokens_per_s_completed * 0.99


@pytest.mark.parametrize(("name", "gpu", "count"), ENGINES)
def test_a_longer_prompt_takes_longer(name: str, gpu: str, count: int) -> None:
    for streams in STREAMS:
        short, long = (predicted(name, gpu, count, streams, prompt) for prompt in PROMPTS)
        assert of(long.ttft).mean > of(short.ttft).mean
        assert of(long.tpot).mean > of(short.tpot).mean


@pytest.mark.parametrize("name", ["llama-3.1-8b-instruct", "qwen3-30b-a3b"])
@pytest.mark.parametrize(("less", "more"), [("h100-80", "h200"), ("mi300x", "mi325x")])
def test_more_bandwidth_of_the_same_chip_is_faster(name: str, less: str, more: str) -> None:
    for streams, prompt in itertools.product(STREAMS, PROMPTS):
        slow = of(predicted(name, less, 1, streams, prompt).tpot).mean
        assert of(predicted(name, more, 1, streams, prompt).tpot).mean < slow
