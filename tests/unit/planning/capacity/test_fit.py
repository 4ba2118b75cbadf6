"""Whether a host can serve a model, from what its driver reports."""

from __future__ import annotations

import dataclasses

import pytest
from model_files import model

from rocminfra.planning.capacity.capacity import Serving
from rocminfra.planning.capacity.fit import (
    DoesNotFit,
    Fits,
    NotChecked,
    compared,
    decide_fit,
    gpu_of,
    too_few_gpus,
)
from rocminfra.planning.model.reference import REFERENCE_NAME

REFERENCE = model("qwen2-vl-72b-instruct").renamed(REFERENCE_NAME)
MI300X, MI325X = 196_288, 262_128


@pytest.mark.parametrize("memory", [196_288, 196_592])
def test_the_reference_run_fits_guest_and_bare_metal(memory: int) -> None:
    decision = decide_fit(REFERENCE, [memory], Serving())
    assert isinstance(decision, Fits)
    assert decision.doubt is None
    assert decision.capacity.gpu.name == "AMD Instinct MI300X"
    assert decision.capacity.gpu.memory_mib == memory


def test_a_model_that_cannot_fit_is_refused_with_what_would() -> None:
    decision = decide_fit(REFERENCE, [65_520], Serving())
    assert isinstance(decision, DoesNotFit)
    assert "does not fit 1 x" in decision.what
    assert "GiB per GPU are missing" in decision.what
    assert any("it would fit with 4 x" in line for line in decision.why)
    assert decision.remedy is not None
    assert (decision.remedy.argument, decision.remedy.value) == ("tensor_parallel", "4")


def test_too_low_a_utilization_is_told_by_its_remedy() -> None:
    decision = decide_fit(REFERENCE, [MI300X], Serving(utilization=0.7))
    assert isinstance(decision, DoesNotFit)
    assert decision.remedy is not None
    assert decision.remedy.argument == "utilization"
    utilization = float(decision.remedy.value)
    again = decide_fit(REFERENCE, [MI300X], Serving(utilization=utilization))
    assert isinstance(again, Fits)


def test_a_length_beyond_the_models_own_cannot_be_served() -> None:
    decision = decide_fit(REFERENCE, [MI325X], Serving(max_model_len=40_000))
    assert isinstance(decision, DoesNotFit)
    assert "32,768" in decision.what


def test_more_gpus_than_there_are_are_refused() -> None:
    decision = decide_fit(REFERENCE, [MI300X], Serving(), tensor_parallel=2)
    assert isinstance(decision, DoesNotFit)
    assert decision.remedy is not None
    assert (decision.remedy.argument, decision.remedy.value) == ("tensor_parallel", "1")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["-pp", "2"], "tensor_parallel_size 1 x --pipeline-parallel-size 2 are 2 GPUs, and"),
        (["--pipeline_parallel_size=2"], "the engine sees 1 of 1"),
        (["--data-parallel-size", "4", "-pp=2"], "--pipeline-parallel-size 2 x --data-parallel"),
        (["-dp", "16", "--data-parallel-size-local", "2"], "--data-parallel-size 2 are 2 GPUs"),
    ],
)
def test_copies_of_an_engine_need_their_gpus_too(extra: list[str], words: str) -> None:
    decision = decide_fit(REFERENCE, [MI300X], Serving(), extra_args=extra)
    assert isinstance(decision, DoesNotFit)
    assert words in decision.what
    assert too_few_gpus([MI300X] * 16, 1, extra) is None
    assert too_few_gpus([], 1, extra) is None, "nobody knows"


@pytest.mark.parametrize("extra", [["-dp", "16", "-dpl", "1"], ["-pp", "two"], ["-dp=1"], ["-pp"]])
def test_what_multiplies_nothing_needs_no_further_gpus(extra: list[str]) -> None:
    assert too_few_gpus([MI300X], 1, extra) is None


def test_what_depends_on_the_overhead_is_a_doubt_and_no_refusal() -> None:
    spec = model("llama-3.1-70b-instruct")
    # Weights 131.4 GiB; one request of 8,192 tokens 2.5 GiB; overhead 2 to 3 GiB.
    serving = Serving(utilization=1.0, max_model_len=8_192)
    memory = int((131.42 + 2.51 + 2.5) * 1024)
    decision = decide_fit(spec, [memory], serving)
    assert isinstance(decision, Fits)
    assert decision.doubt is not None


@pytest.mark.parametrize(
    "extra",
    [
        ["--quantization", "fp8"],
        ["--quantization=fp8"],
        ["--quantiz", "fp8"],
        ["--hf-overrides.max_position_embeddings=9"],
        ["--speculative_config.model", "x"],
        ["--cpu-offload-gb 20"],
        ["-q", "fp8"],
        # The last of two wins, so these are not what the plan was made of.
        ["--max-model-len=2048"],
        ["--gpu_memory_utilization=0.97"],
        ["-tp", "4"],
    ],
)
def test_what_is_not_modelled_is_not_judged(extra: list[str]) -> None:
    assert isinstance(decide_fit(REFERENCE, [65_520], Serving(), extra_args=extra), NotChecked)


def test_without_a_driver_nothing_is_said() -> None:
    assert isinstance(decide_fit(REFERENCE, [], Serving()), NotChecked)


def test_the_smallest_gpu_counts() -> None:
    decision = decide_fit(REFERENCE, [MI300X, 65_520], Serving(), tensor_parallel=2)
    assert isinstance(decision, DoesNotFit)


def test_a_gpu_of_unknown_size_is_a_gpu() -> None:
    assert gpu_of(100_000).name == "GPU"
    assert gpu_of(100_000).memory_mib == 100_000


def test_plan_and_engine_in_one_sentence() -> None:
    reference = decide_fit(REFERENCE, [MI300X], Serving())
    llama = decide_fit(model("llama-3.1-70b-instruct"), [MI300X], Serving())
    assert isinstance(reference, Fits)
    assert isinstance(llama, Fits)
    assert compared(reference.capacity, 105_440).endswith("as planned")
    assert compared(reference.capacity, 94_896).endswith("-10.0%")
    assert compared(llama.capacity, 139_000).endswith("as planned")
    assert "+" in compared(llama.capacity, 160_000)
    assert "another model" in compared(reference.capacity, 9_000_000)


def test_a_cap_of_pixels_leaves_a_range() -> None:
    capped = dataclasses.replace(Serving(), max_pixels=1_003_520)
    decision = decide_fit(REFERENCE, [MI300X], capped)
    assert isinstance(decision, Fits)
    low, high = decision.capacity.kv_cache_tokens, decision.capacity.kv_cache_tokens_at_best
    assert low < 105_440 < high
