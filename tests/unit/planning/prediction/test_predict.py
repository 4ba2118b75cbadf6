"""Predictions: the published figures, what-ifs in the right direction, calibration."""

from __future__ import annotations

import copy
import dataclasses
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from model_files import model

from rocminfra.planning.bench.points import Point, Stage, StageKind
from rocminfra.planning.capacity.capacity import Serving, capacity
from rocminfra.planning.engine.gpus import A100_80, GPUS, MI325X
from rocminfra.planning.engine.latency_constants import LatencyConstants
from rocminfra.planning.engine.model_shape import VisionShape
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.prediction.calibration import CalibrationError, Measured, calibrate
from rocminfra.planning.prediction.point_figures import PointFigures
from rocminfra.planning.prediction.predict import (
    DoesNotFitError,
    Timing,
    Variant,
    predict,
    predict_point,
    scheduler_config,
)
from rocminfra.planning.prediction.published import (
    CALIBRATED,
    HELD_OUT,
    Comparison,
    compare,
    predict_reference,
)
from rocminfra.planning.prediction.sensitivity import Effect, effects
from rocminfra.planning.prediction.workload import ScannedPages, SyntheticText, Workload

ROOT = Path(__file__).parents[4]
SPEC = model("qwen2-vl-72b-instruct").renamed(REFERENCE_NAME)
VISION = SPEC.vision or VisionShape(1, 1, 1)
BASE = Variant(SPEC)
STREAMS = [Stage("concurrent", streams=(64,))]
TIMING = Timing(120, 10)


@lru_cache(maxsize=1)
def reference() -> dict[str, Any]:
    text = (ROOT / "benchmarks" / "reference.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@lru_cache(maxsize=1)
def rows() -> dict[str, Comparison]:
    return {row.name: row for row in compare(predict_reference(BASE, reference()), reference())}


def docvqa(variant: Variant) -> PointFigures:
    pages = ScannedPages(VISION, variant.serving.max_pixels)
    return predict(variant, STREAMS, pages, TIMING)[0].figures


def serving(**changes: Any) -> Variant:
    return dataclasses.replace(BASE, serving=dataclasses.replace(Serving(), **changes))


def test_every_published_figure_is_predicted_within_twenty_per_cent() -> None:
    assert len(rows()) == 10
    off = {name: f"{row.error:+.0%}" for name, row in rows().items() if abs(row.error) > 0.2}
    assert off == {}


def test_at_most_three_figures_calibrate_and_each_another_constant() -> None:
    used = [row for row in rows().values() if row.role == CALIBRATED]
    assert len(used) <= 3
    constants = [row.constant for row in used]
    assert len(set(constants)) == len(constants)
    assert set(constants) <= {one.name for one in dataclasses.fields(LatencyConstants)}
    assert all(abs(row.error) < 0.01 for row in used)
    assert all(row.constant is None for row in rows().values() if row.role == HELD_OUT)


def test_every_published_figure_is_there() -> None:
    published = [row.published for row in rows().values()]
    assert published == pytest.approx(
        [39.6, 66.8, 99.5, 38.5, 1879, 46, 2621, 46 * 5_015 / 110, 21, 94.8]
    )


def test_the_highest_rate_follows_the_rule_of_sweeps() -> None:
    predicted = predict_reference(BASE, reference())
    assert len(predicted.sweep) == 10
    rates = [point.point.rate for point in predicted.sweep[2:]]
    throughput = predicted.sweep[1].figures.requests_per_second
    assert rates[-1] == pytest.approx(throughput)
    assert rates == sorted(rates, key=lambda rate: rate or 0.0)


def test_capped_pages_make_waiting_short_and_answers_many() -> None:
    base, capped = docvqa(BASE), docvqa(serving(max_pixels=1_003_520))
    assert capped.completed > 3 * base.completed
    assert (capped.ttft_median_s or 0) < (base.ttft_median_s or 0) / 2


def test_fewer_sequences_shorten_the_time_between_tokens() -> None:
    base, few = docvqa(BASE), docvqa(serving(max_num_seqs=8))
    assert (few.itl_median_s or 0) < (base.itl_median_s or 0)
    assert (few.kv_usage_max or 0) < 0.5


def test_a_smaller_budget_a_step_shortens_the_time_between_tokens() -> None:
    base, small = docvqa(BASE), docvqa(serving(max_num_batched_tokens=2_048))
    assert (small.itl_median_s or 0) < (base.itl_median_s or 0)


def test_fp8_keys_and_values_keep_twice_as_many() -> None:
    fp8 = serving(kv_dtype_bytes=1)
    assert scheduler_config(fp8).num_gpu_blocks == 2 * 6_590
    assert (docvqa(fp8).kv_usage_max or 0) <= (docvqa(BASE).kv_usage_max or 0)


def test_two_replicas_serve_twice_as_much_at_the_most() -> None:
    base, two = docvqa(BASE), docvqa(dataclasses.replace(BASE, replicas=2))
    assert 1.5 * base.completed < two.completed <= 2.2 * base.completed


def test_a_gpu_with_more_bandwidth_decodes_faster() -> None:
    point = [Stage("synchronous")]
    text = SyntheticText(1_000, 200)
    base = predict(BASE, point, text, Timing(30))[0].figures
    faster = predict(dataclasses.replace(BASE, gpu=MI325X), point, text, Timing(30))[0].figures
    ratio = (base.itl_median_s or 0) / (faster.itl_median_s or 1)
    assert ratio == pytest.approx(6.0 / 5.3, rel=0.03)


def test_no_latency_is_below_its_floor() -> None:
    """All of the peak, no overhead: 26.97 ms of weights and the keys and values on top."""
    ideal = dataclasses.replace(
        LatencyConstants(), bandwidth_fraction=1.0, compute_fraction=1.0, step_overhead_s=0.0
    )
    variant = dataclasses.replace(BASE, given_constants=ideal)
    found = predict(variant, [Stage("synchronous")], SyntheticText(100, 100), Timing(30))
    assert (found[0].figures.itl_median_s or 0) > 0.02697


def test_what_does_not_fit_is_not_predicted() -> None:
    with pytest.raises(DoesNotFitError, match="A100"):
        docvqa(dataclasses.replace(BASE, gpu=A100_80))


def test_mixtures_read_more_experts_when_there_are_more_tokens() -> None:
    variant = Variant(model("mixtral-8x7b-instruct-v0.1"))
    text = SyntheticText(100, 100)

    def itl(streams: int) -> float:
        stages = [Stage("concurrent", streams=(streams,))]
        return predict(variant, stages, text, Timing(20))[0].figures.itl_median_s or 0.0

    # One token reads 2 of 8 experts, sixteen nearly all.
    assert itl(16) > 2.5 * itl(1)


def measured_points(constants: LatencyConstants) -> list[Measured]:
    """What a run on a GPU with these constants would have measured."""
    variant = dataclasses.replace(BASE, given_constants=constants)
    timing = Timing(60)
    points = [
        Point("01-synchronous", "synchronous"),
        Point("02-concurrent-8", "concurrent", streams=8),
    ]
    found = []
    for point in points:
        figures = predict_point(variant, point, SyntheticText(2_000, 100, 0), timing).figures
        found.append(
            Measured(point, timing, 2_000, 100, None, figures.ttft_median_s, figures.itl_median_s)
        )
    return found


def test_a_measured_run_gives_its_constants_back() -> None:
    real = dataclasses.replace(LatencyConstants(), bandwidth_fraction=0.55, compute_fraction=0.3)
    found = calibrate(BASE, measured_points(real))
    assert found.variant.constants.bandwidth_fraction == pytest.approx(0.55, rel=1e-3)
    assert found.variant.constants.compute_fraction == pytest.approx(0.3, rel=1e-3)
    roles = [row.role for row in found.comparisons]
    assert roles == [CALIBRATED, CALIBRATED, HELD_OUT, HELD_OUT]
    assert all(abs(row.error) < 0.02 for row in found.comparisons)


def test_a_run_without_a_single_stream_calibrates_the_peak_only() -> None:
    real = dataclasses.replace(LatencyConstants(), compute_fraction=0.3)
    found = calibrate(BASE, measured_points(real)[1:])
    assert found.variant.constants.bandwidth_fraction == LatencyConstants().bandwidth_fraction
    assert found.variant.constants.compute_fraction == pytest.approx(0.3, rel=0.05)


def test_figures_better_than_the_peak_calibrate_nothing() -> None:
    fast = [
        dataclasses.replace(one, itl_s=0.002, ttft_s=0.005)
        for one in measured_points(LatencyConstants())
    ]
    with pytest.raises(CalibrationError, match="published peak"):
        calibrate(BASE, fast)
    with pytest.raises(CalibrationError, match="no valid point"):
        calibrate(BASE, [])


MODELS = ["llama-2-7b", "qwen2-vl-72b-instruct", "deepseek-v2-lite", "qwen3-30b-a3b"]


@settings(max_examples=25)
@given(
    st.sampled_from(MODELS),
    st.sampled_from(sorted(GPUS)),
    st.builds(
        Serving,
        utilization=st.floats(0.3, 1.0),
        max_model_len=st.integers(1, 20_000),
        max_num_seqs=st.integers(1, 300),
        max_num_batched_tokens=st.integers(1, 40_000),
        kv_dtype_bytes=st.sampled_from([1, 2]),
        max_pixels=st.none() | st.integers(1, 20_000_000),
    ),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(1, 100),
    st.sampled_from(["synchronous", "throughput", "concurrent", "constant", "sweep"]),
)
def test_whatever_is_asked_is_predicted_above_the_floor_or_refused(
    name: str, key: str, limits: Serving, count: int, replicas: int, kind: StageKind
) -> None:
    spec = model(name)
    variant = Variant(spec, GPUS[key], limits, count, replicas)
    load: Workload = SyntheticText(700, 40)
    if spec.vision is not None:
        load = ScannedPages(spec.vision, limits.max_pixels, pixels_spread=0.4)
    stages = [Stage(kind, streams=(16,), rates=(0.5,), size=4)]
    with suppress(ValueError):
        floor = capacity(spec, GPUS[key], limits, count).itl_floor_decoder_s
        for point in predict(variant, stages, load, Timing(5)):
            found = point.figures
            assert found.itl_median_s is None or found.itl_median_s > floor
            assert 0 <= (found.kv_usage_min or 0) <= (found.kv_usage_max or 0) <= 1


@lru_cache(maxsize=1)
def moves() -> tuple[Effect, ...]:
    """How far figures move; of a sweep that is cut short, because it takes the time."""
    short = copy.deepcopy(reference())
    short["scenarios"]["synthetic_sweep"]["max_seconds"] = 50
    return effects(BASE, short)


def test_the_page_shows_how_far_docvqas_figures_move() -> None:
    page = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")

    def cell(effect: Effect) -> str:
        both = ["0" if abs(one) < 5e-4 else f"{one:+.1%}" for one in (effect.lower, effect.higher)]
        return "0" if both == ["0", "0"] else " / ".join(both)

    for figure in {effect.figure for effect in moves() if effect.figure.startswith("docvqa")}:
        cells = [cell(effect) for effect in moves() if effect.figure == figure]
        assert f"| {figure} | {' | '.join(cells)} |" in page


def test_every_constant_moves_something() -> None:
    found = moves()
    moved = {
        effect.constant for effect in found if max(abs(effect.lower), abs(effect.higher)) > 0.00001
    }
    # One GPU, no experts, no 8-bit weights: the others have nothing to move.
    elsewhere = {"expert_layer_s", "expert_fraction", "expert_read_pace", "fp8_layer_s", "fp8_pace"}
    # Keys and values are read at one pace on MI300X.
    elsewhere |= {"exchange_s", "link_fraction", "mixed_kv_pace"}
    # What the host does passes while a GPU computes 72B.
    elsewhere |= {"step_overhead_s", "sequence_overhead_s"}
    assert moved >= {one.name for one in dataclasses.fields(LatencyConstants)} - elsewhere
    assert "preprocess_s_per_megapixel" in {effect.constant for effect in found}
