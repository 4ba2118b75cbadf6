"""Capacity: the reference run's figures, sharing of blocks, and what must always hold."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_files import model

from rocminfra.planning.capacity.alternatives import alternatives
from rocminfra.planning.capacity.capacity import Serving, capacity
from rocminfra.planning.capacity.overhead import GIB, measured
from rocminfra.planning.capacity.remedies import remedies
from rocminfra.planning.engine.gpus import A100_80, GPUS, H100_80, H200, MI300X, MI325X, MI355X
from rocminfra.planning.model.kv_layers import KvLayer, LayerKind, layout
from rocminfra.planning.model.reference import REFERENCE_NAME

REFERENCE = model("qwen2-vl-72b-instruct").renamed(REFERENCE_NAME)
FITTING = [
    "llama-2-7b",
    "llama-3.1-70b-instruct",
    "mixtral-8x7b-instruct-v0.1",
    "deepseek-v2-lite",
    "gemma-2-9b-it",
    "gemma-3-27b-it",
    "qwen2-vl-72b-instruct",
]


def at(name: str, serving: Serving | None = None) -> Serving:
    """A serving whose length the model allows."""
    serving = serving or Serving()
    return dataclasses.replace(serving, max_model_len=min(4_096, model(name).max_position))


def test_the_reference_run() -> None:
    planned = capacity(REFERENCE, MI300X)
    assert round(planned.weights_bytes / GIB, 2) == 136.73
    assert planned.kv_bytes_per_token == 327_680
    assert (planned.kv_cache_tokens, planned.kv_blocks) == (105_440, 6_590)
    assert round(planned.kv_bytes / GIB, 2) == 32.18
    assert round(planned.concurrency(16_384), 2) == 6.44
    assert planned.itl_floor_s == pytest.approx(0.0277, abs=5e-5)
    assert planned.itl_floor_decoder_s == pytest.approx(0.02697, abs=5e-6)
    assert planned.fits
    assert planned.overhead.basis == "calibrated"


def test_about_twenty_docvqa_streams_fit_of_sixty_four() -> None:
    planned = capacity(REFERENCE, MI300X)
    assert planned.streams(4_996 + 19) == 20
    # Capped pages: 1,240 tokens instead of 4,960.
    assert planned.streams(1_240 + 36 + 19) == 64


def test_only_the_reference_run_itself_is_calibrated() -> None:
    assert capacity(REFERENCE, MI355X).overhead.basis == "calibrated"
    assert capacity(REFERENCE, MI300X, None, 2).overhead.basis == "range"
    assert capacity(REFERENCE, MI300X, Serving(max_pixels=1_003_520)).overhead.basis == "range"
    text = capacity(model("llama-3.1-70b-instruct"), MI300X)
    assert (text.overhead.low, text.overhead.high) == (GIB // 4, 3 * GIB)
    assert text.kv_cache_tokens < text.kv_cache_tokens_at_best
    given_ = capacity(REFERENCE, MI300X, Serving(overhead=measured(6 * GIB)))
    assert given_.overhead.basis == "measured"
    assert given_.kv_cache_tokens > 105_440


@pytest.mark.parametrize(
    ("gpu", "real_gb", "most_tokens"), [(A100_80, 11.24, 1_600), (H100_80, 10.55, 100)]
)
def test_two_80_gb_cards_hold_the_weights_and_next_to_nothing_else(
    gpu: object, real_gb: float, most_tokens: int
) -> None:
    found = {other.capacity.gpu.key: other for other in alternatives(REFERENCE, Serving())}
    other = next(one for one in found.values() if one.capacity.gpu is gpu)
    assert other.nominal_left_bytes / 1e9 == pytest.approx(13.2, abs=0.02)
    assert other.real_left_bytes / 1e9 == pytest.approx(real_gb, abs=0.01)
    assert not other.capacity.fits
    assert other.capacity.kv_cache_tokens_at_best <= most_tokens
    assert "MiB" in other.why
    assert "activations" in other.why


def test_what_does_not_fit_says_what_would() -> None:
    short = capacity(REFERENCE, H200)
    words = [remedy.words for remedy in remedies(short)]
    assert "2 x NVIDIA H200 SXM 141 GB with tensor parallelism" in words
    assert any("AMD Instinct MI300X" in one for one in words)
    for remedy in remedies(short):
        if (remedy.argument, remedy.value) == ("tensor_parallel", "2"):
            assert capacity(REFERENCE, H200, None, 2).fits


def test_a_length_that_fits_is_found_exactly() -> None:
    # 70B in bf16 on one MI300X at 0.85: weights, overhead and some KV cache.
    serving = Serving(utilization=0.76, max_model_len=65_536)
    spec = model("llama-3.1-70b-instruct")
    short = capacity(spec, MI300X, serving)
    assert not short.fits
    found = {remedy.argument: remedy.value for remedy in remedies(short)}
    length = int(found["max_model_len"])
    assert capacity(spec, MI300X, dataclasses.replace(serving, max_model_len=length)).fits
    longer = dataclasses.replace(serving, max_model_len=length + 16)
    assert not capacity(spec, MI300X, longer).fits


def test_a_length_beyond_the_models_own_is_refused_whatever_the_memory() -> None:
    planned = capacity(REFERENCE, MI355X, Serving(max_model_len=65_536))
    assert not planned.fits
    assert planned.refused is not None
    assert "32,768" in planned.refused


def test_heads_that_cannot_be_split_are_refused() -> None:
    planned = capacity(model("qwen2-7b-instruct"), MI300X, None, 8)
    assert planned.refused is not None
    assert "28 attention heads" in planned.refused


def test_a_larger_budget_a_step_may_cost_activations() -> None:
    """By hand: residual, norm, gate, up and product are 2 x 8,192 + 3 x 29,568 values of 2 bytes,
    for 24,576 more tokens 4.8 GiB."""
    usual, large = capacity(REFERENCE, MI300X), capacity(REFERENCE, MI300X, budget(32_768))
    assert large.overhead.basis == "range"
    added = 24_576 * (2 * 8_192 + 3 * 29_568) * 2
    assert large.overhead.high - usual.overhead.high == added
    assert large.kv_cache_tokens < usual.kv_cache_tokens == large.kv_cache_tokens_at_best
    # A smaller one saves nothing for certain: the encoder is profiled at its largest image.
    assert capacity(REFERENCE, MI300X, budget(2_048)).kv_blocks == usual.kv_blocks


def budget(tokens: int) -> Serving:
    return Serving(max_num_batched_tokens=tokens)


def test_a_budget_below_the_sequences_is_an_error_as_it_is_for_the_engine() -> None:
    with pytest.raises(ValueError, match="max-num-batched-tokens 63 must not be below"):
        capacity(REFERENCE, MI300X, budget(63))


def test_pixels_beyond_the_models_own_limit_are_not_guessed() -> None:
    limit = 12_845_056
    assert capacity(REFERENCE, MI300X, Serving(max_pixels=limit)).overhead.basis == "calibrated"
    with pytest.raises(ValueError, match="more than its own limit"):
        capacity(REFERENCE, MI300X, Serving(max_pixels=limit + 1))
    known = Serving(max_pixels=limit + 1, overhead=measured(9 * GIB))
    assert capacity(REFERENCE, MI300X, known).fits


@pytest.mark.parametrize(
    "serving",
    [Serving(utilization=0.0), Serving(utilization=1.2), Serving(max_model_len=0)],
)
def test_impossible_values_are_errors(serving: Serving) -> None:
    with pytest.raises(ValueError, match=r"utilization|positive"):
        capacity(REFERENCE, MI300X, serving)


def test_layers_are_grouped_as_the_hybrid_allocator_does() -> None:
    """10 full layers and 52 with a window: one group of the former, six of the latter."""
    gemma = layout(model("gemma-3-27b-it").layers)
    assert gemma.group_size == 10
    assert [layer.kind for layer in gemma.groups].count(LayerKind.SLIDING) == 6
    # By hand: full 16,384 / 16; each window (1,023 + 8,192) / 16, rounded up, and one more.
    assert gemma.blocks(16_384, 8_192) == 1_024 + 6 * (576 + 1)
    # Shorter than the window: every layer keeps everything, plus the odd block.
    assert gemma.blocks(512, 8_192) == 32 + 6 * 33


def test_layers_that_keep_different_amounts_are_not_guessed() -> None:
    wide = KvLayer(LayerKind.FULL, 8, 128, 128)
    narrow = KvLayer(LayerKind.FULL, 4, 128, 128)
    with pytest.raises(ValueError, match="not modelled"):
        layout([wide, narrow])


def test_the_latent_vector_stands_on_every_gpu_and_heads_are_split() -> None:
    deepseek, llama = model("deepseek-v2-lite"), model("llama-3.1-70b-instruct")
    for size in (1, 2, 4, 8):
        assert deepseek.kv_bytes_per_token(2, size) == 31_104
        assert llama.kv_bytes_per_token(2, size) == 327_680 // size
    # 8 KV heads on 16 GPUs: each has one, repeated.
    assert llama.kv_bytes_per_token(2, 16) == 327_680 // 8


NAMES = st.sampled_from(FITTING)
KEYS = st.sampled_from(sorted(GPUS))


@given(NAMES, KEYS, st.integers(0, 100_000), st.sampled_from([1, 2, 4, 8]))
def test_more_memory_never_fits_less(name: str, key: str, more_mib: int, size: int) -> None:
    gpu, spec = GPUS[key], model(name)
    larger = dataclasses.replace(gpu, memory_mib=gpu.memory_mib + more_mib)
    one, two = capacity(spec, gpu, at(name), size), capacity(spec, larger, at(name), size)
    assert two.kv_blocks >= one.kv_blocks
    assert two.kv_cache_tokens >= one.kv_cache_tokens
    assert two.headroom_bytes >= one.headroom_bytes
    assert two.fits >= one.fits
    assert two.streams(1_000) >= one.streams(1_000)


@given(NAMES, KEYS, st.floats(0.1, 0.99), st.floats(0.0, 0.01))
def test_more_utilization_never_fits_less(name: str, key: str, share: float, more: float) -> None:
    def planned(utilization: float) -> int:
        serving = dataclasses.replace(at(name), utilization=utilization)
        return capacity(model(name), GPUS[key], serving).headroom_bytes

    assert planned(share + more) >= planned(share)


@given(NAMES, st.sampled_from([1, 2, 4]))
def test_tensor_parallelism_halves_what_it_should(name: str, size: int) -> None:
    spec = model(name)
    one, two = capacity(spec, MI325X, at(name), size), capacity(spec, MI325X, at(name), 2 * size)
    assert abs(2 * two.weights_bytes - one.weights_bytes) <= 2
    assert two.itl_floor_s == pytest.approx(one.itl_floor_s / 2)
    halves = spec.layers[0].kind is not LayerKind.MLA and spec.layers[0].kv_heads >= 2 * size
    assert one.block_bytes == two.block_bytes * (2 if halves else 1)
    assert two.budget_bytes == one.budget_bytes


@given(NAMES, st.integers(1, 4_096), st.integers(1, 4_096))
def test_longer_requests_never_leave_room_for_more(name: str, tokens: int, more: int) -> None:
    planned = capacity(model(name), MI300X, at(name))
    assert planned.streams(tokens + more) <= planned.streams(tokens)
    assert planned.concurrency(tokens + more) <= planned.concurrency(tokens)


@given(NAMES)
def test_fp8_never_keeps_fewer_tokens(name: str) -> None:
    narrow = dataclasses.replace(at(name), kv_dtype_bytes=1)
    assert (
        capacity(model(name), MI300X, narrow).kv_cache_tokens
        >= 2 * capacity(model(name), MI300X, at(name)).kv_cache_tokens - 32 * 16
    )


def test_every_gpu_says_where_its_figures_come_from() -> None:
    assert set(GPUS) == {
        "mi300x",
        "mi325x",
        "mi350x",
        "mi355x",
        "a100-80",
        "h100-80",
        "h200",
        "b200",
    }
    assert all("data sheet" in gpu.source for gpu in GPUS.values())
