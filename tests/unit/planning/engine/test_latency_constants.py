"""Each GPU's own constants, and which of them are only assumed."""

from __future__ import annotations

import dataclasses

import pytest

from rocminfra.planning.engine.gpus import A100_80, GPUS, H100_80, H200, MI300X, MI325X
from rocminfra.planning.engine.latency import LatencyModel
from rocminfra.planning.engine.latency_constants import LatencyConstants, constants_of
from rocminfra.planning.engine.model_shape import QWEN2_VL_72B, Experts
from rocminfra.planning.engine.steps import Chunk, Step

DECODE = Step((Chunk("a", 1, 500, True),))


def prefill(tokens: int) -> Step:
    return Step((Chunk("a", tokens, 0, True),))


def test_every_gpu_has_constants_and_says_what_is_assumed() -> None:
    names = {one.name for one in dataclasses.fields(LatencyConstants)}
    for gpu in GPUS.values():
        known = constants_of(gpu)
        assert set(known.assumed) <= names
        if known.taken_from is not None:
            assert known.assumed
            assert known.taken_from in GPUS
    assert constants_of(MI300X).assumed == ()
    assert set(constants_of(H200).assumed) == names
    assert constants_of(H100_80).constants != constants_of(MI300X).constants


def test_a_gpu_brings_its_own_constants() -> None:
    assert LatencyModel(gpu=H100_80).constants == constants_of(H100_80).constants
    given = LatencyConstants(bandwidth_fraction=0.5)
    assert LatencyModel(gpu=H100_80, constants=given).constants == given


def test_two_all_reduces_a_layer() -> None:
    """80 layers: 160 latencies, and 2 x 8,192 values of every token over the links."""
    constants = constants_of(MI300X).constants
    model = LatencyModel(tensor_parallel=4)
    one = model.step_time(DECODE).exchange
    many = model.step_time(prefill(1_001)).exchange
    assert one > 160 * constants.exchange_s
    sent = 160 * 1_000 * 8_192 * 2 * 2 * 3 / 4
    assert many - one == pytest.approx(sent / (3 * 64e9 * constants.link_fraction))
    assert LatencyModel().step_time(DECODE).exchange == 0


def test_a_switch_gives_a_gpu_the_same_bandwidth_whatever_their_number() -> None:
    assert A100_80.link_bytes_per_s(8) == A100_80.link_bytes_per_s(2) == 300e9
    assert MI325X.link_bytes_per_s(8) == 7 * MI325X.link_bytes_per_s(2)


def test_the_overhead_grows_with_layers_and_with_sequences() -> None:
    constants = constants_of(MI300X).constants
    half = dataclasses.replace(QWEN2_VL_72B, layers=40)
    deep, shallow = (
        LatencyModel(model).step_time(DECODE).overhead for model in (QWEN2_VL_72B, half)
    )
    assert deep - shallow == pytest.approx(40 * constants.layer_overhead_s)
    two = Step((Chunk("a", 1, 5, True), Chunk("b", 1, 5, True)))
    three = Step((*two.chunks, Chunk("c", 1, 5, True)))
    more = LatencyModel().step_time(three).overhead - LatencyModel().step_time(two).overhead
    assert more == pytest.approx(constants.sequence_overhead_s)


@pytest.mark.parametrize("second", [(), (Chunk("b", 1, 5, False),)])
def test_matrix_products_cost_a_layer_of_an_mi300x_more_than_those_with_a_vector(
    second: tuple[Chunk, ...],
) -> None:
    """One token is a vector; published time between tokens rises by a quarter from one stream to
    four and hardly from four to eight."""
    model = LatencyModel()
    step = Step((Chunk("a", 1, 5, True), *second))
    more = model.step_time(step).overhead - model.step_time(DECODE).overhead
    expected = 80 * model.constants.batch_layer_s if second else 0.0
    assert more == pytest.approx(expected)
    assert model.constants.batch_layer_s > 0
    assert constants_of(H100_80).constants.batch_layer_s == 0


def test_an_engine_that_schedules_ahead_waits_only_for_what_its_host_does_longer() -> None:
    """The host's share of a step passes while the GPU computes."""
    quick = dataclasses.replace(
        QWEN2_VL_72B, parameters=10**9, layers=8, embedding_parameters=0, head_parameters=0
    )
    full = Step(tuple(Chunk(f"r{n}", 1, 5, True) for n in range(1_000)))
    for shape, step in ((QWEN2_VL_72B, DECODE), (quick, full)):
        waiting = LatencyModel(shape).seconds(step)
        ahead = LatencyModel(shape, is_scheduled_ahead=True).seconds(step)
        reached = constants_of(MI300X).constants
        sampled = sum(chunk.samples for chunk in step.chunks)
        host = reached.step_overhead_s + sampled * reached.sequence_overhead_s
        assert ahead == pytest.approx(max(waiting - host, host))
        assert ahead < waiting


def test_bytes_and_flops_overlap_partly() -> None:
    """Neither the longer of the two, nor their sum."""
    model = LatencyModel()
    weights = model.step_time(DECODE).matrices
    for tokens in (100, 300, 1_000):
        both = model.step_time(prefill(tokens)).matrices
        compute = model.step_time(prefill(20_000)).matrices * tokens / 20_000
        assert max(weights, compute * 0.99) < both < weights + compute * 1.01


def test_experts_and_8_bit_weights_cost_a_layer_something() -> None:
    base = LatencyModel().step_time(DECODE).overhead
    experts = dataclasses.replace(QWEN2_VL_72B, experts=Experts(8, 2, 40 * 10**9))
    eight_bits = dataclasses.replace(QWEN2_VL_72B, dtype_bytes=1)
    constants = constants_of(MI300X).constants
    assert LatencyModel(experts).step_time(DECODE).overhead - base == pytest.approx(
        80 * constants.expert_layer_s
    )
    assert LatencyModel(eight_bits).step_time(DECODE).overhead - base == pytest.approx(
        80 * constants.fp8_layer_s
    )


@pytest.mark.parametrize(
    "change", [{"layer_overhead_s": -1e-6}, {"link_fraction": 0.0}, {"fp8_pace": 2.5}]
)
def test_constants_that_nothing_has_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"fractions|pace"):
        LatencyConstants(**change)
