"""A step takes what its bytes and FLOPs take."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.planning.engine.gpus import GPUS, MI300X, MI325X
from rocminfra.planning.engine.latency import LatencyModel
from rocminfra.planning.engine.latency_constants import LatencyConstants
from rocminfra.planning.engine.model_shape import QWEN2_VL_72B
from rocminfra.planning.engine.steps import Chunk, Step

IDEAL = LatencyConstants(
    bandwidth_fraction=1,
    compute_fraction=1,
    attention_fraction=1,
    vision_fraction=1,
    step_overhead_s=0,
    layer_overhead_s=0,
    batch_layer_s=0,
    sequence_overhead_s=0,
)


def decode(sequences: int, context: int) -> Step:
    return Step(tuple(Chunk(f"r{index}", 1, context, True) for index in range(sequences)))


def test_an_ideal_decode_reads_the_decoder_once() -> None:
    """72.71 B weights less the embedding's 1.25 B, in bf16, at 5.3 TB/s: 27.0 ms."""
    ideal = LatencyModel(constants=IDEAL)
    assert ideal.seconds(decode(1, 0)) == pytest.approx(0.02697, rel=1e-3)


def test_a_full_cache_adds_its_bytes() -> None:
    """105,440 tokens of 327,680 bytes at 5.3 TB/s: 6.5 ms."""
    ideal = LatencyModel(constants=IDEAL)
    added = ideal.seconds(decode(10, 10_544)) - ideal.seconds(decode(10, 0))
    assert added == pytest.approx(0.00652, rel=1e-2)


def test_an_ideal_prefill_of_a_page_takes_half_a_second() -> None:
    """2 x 70.21 B x 4,819 FLOPs at 1,307 TFLOP/s: 0.52 s, and attention on top."""
    ideal = LatencyModel(constants=IDEAL)
    time = ideal.step_time(Step((Chunk("a", 4_819, 0, True),)))
    assert time.matrices == pytest.approx(0.5177, rel=1e-3)
    assert 0 < time.attention < 0.05
    assert time.total == pytest.approx(time.matrices + time.attention)


def test_only_sampled_tokens_pass_the_output_head() -> None:
    """The head is 152,064 x 8,192: 2.5 GFLOP a token, of 142.9."""
    ideal = LatencyModel(constants=IDEAL)
    first = ideal.step_time(Step((Chunk("a", 4_096, 0, False),))).matrices
    last = ideal.step_time(Step((Chunk("a", 4_096, 0, True),))).matrices
    assert last - first == pytest.approx(2 * 152_064 * 8_192 / MI300X.bf16_flops, rel=1e-3)
    # Reading weights is another matter: a decode step reads the head, as the floor has it.
    assert ideal.step_time(decode(1, 0)).matrices == pytest.approx(0.02697, rel=1e-3)


def test_the_merger_works_on_tokens_and_the_encoder_on_patches() -> None:
    """By hand for 4,000 patches, 1,000 tokens: 2 x (4,000 x 631.2 M + 1,000 x 68.2 M) for the
    weights, 4 x 1,280 x 32 x 4,000^2 for attention."""
    flops = 2 * (4_000 * 631_185_920 + 1_000 * 68_170_752) + 4 * 1_280 * 32 * 4_000**2
    vision = LatencyModel(constants=IDEAL).step_time(Step((), (4_000,))).vision
    assert vision == pytest.approx(flops / MI300X.bf16_flops, rel=1e-9)


def test_images_cost_the_encoder_and_more_than_in_proportion() -> None:
    model = LatencyModel()
    small = model.step_time(Step((), (1_000,))).vision
    large = model.step_time(Step((), (10_000,))).vision
    assert large > 10 * small > 0


@given(
    st.integers(1, 8_000),
    st.integers(0, 16_000),
    st.integers(0, 2_000),
    st.sampled_from(sorted(GPUS)),
)
def test_more_work_never_takes_less_time(tokens: int, context: int, more: int, gpu: str) -> None:
    model = LatencyModel(gpu=GPUS[gpu])
    base = model.seconds(Step((Chunk("a", tokens, context, True),)))
    assert model.seconds(Step((Chunk("a", tokens + more, context, True),))) >= base
    assert model.seconds(Step((Chunk("a", tokens, context + more, True),))) >= base
    assert model.seconds(Step((Chunk("a", tokens, context, True),), (more,))) >= base


def test_more_bandwidth_and_more_gpus_are_faster() -> None:
    step = decode(8, 4_000)
    one = LatencyModel(gpu=MI300X).seconds(step)
    assert LatencyModel(gpu=MI325X).seconds(step) < one
    assert LatencyModel(tensor_parallel=2).seconds(step) < one


def test_fp8_halves_what_the_cache_costs() -> None:
    half = dataclasses.replace(QWEN2_VL_72B, kv_dtype_bytes=1)
    step = decode(8, 4_000)
    full_time = LatencyModel().step_time(step).kv_read
    assert LatencyModel(half).step_time(step).kv_read == pytest.approx(full_time / 2)


@pytest.mark.parametrize("field", ["bandwidth_fraction", "compute_fraction"])
@pytest.mark.parametrize("value", [0.0, -0.1, 1.01])
def test_nothing_reaches_more_than_its_peak(field: str, value: float) -> None:
    with pytest.raises(ValueError, match="fractions"):
        dataclasses.replace(LatencyConstants(), **{field: value})
