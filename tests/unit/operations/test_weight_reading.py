"""What a step of the model's decoder reads at least, and where nobody can say."""

from __future__ import annotations

from typing import Any

import pytest

from rocminfra.operations.weight_reading import bandwidths, step_bytes
from rocminfra.planning.bench.validity import floor_ms
from rocminfra.settings import load_settings


def of(**values: Any) -> int | None:
    return step_bytes(load_settings({key.replace("__", "."): one for key, one in values.items()}))


def test_the_reference_model_reads_its_decoder_and_no_embedding_or_vision() -> None:
    # 72.7 billion parameters of the language model at 2 bytes, without 152,064 x 8,192 of the
    # input embedding.
    assert of() == pytest.approx(142.9e9, rel=0.01)


def test_its_floor_on_an_mi300x_is_below_what_was_published() -> None:
    floor = floor_ms(of(), ["AMD Instinct MI300X VF"], bandwidths())
    assert floor is not None
    # Synchronous, benchmarks/reference.yaml.
    assert 26 < floor < 39.6


@pytest.mark.parametrize(
    "argument",
    [
        "--quantization=fp8",
        "--quant=fp8",
        "-q=fp8",
        '--speculative_config={"method": "ngram", "num_speculative_tokens": 3}',
        '--hf-overrides={"num_hidden_layers": 2}',
        "--load-format=dummy",
    ],
)
def test_an_engine_that_reads_otherwise_has_no_known_floor(argument: str) -> None:
    assert of(vllm__extra_args=[argument]) is None


def test_other_arguments_change_nothing() -> None:
    assert of(vllm__extra_args=["--async-scheduling"]) == of()


def test_a_model_that_is_not_here_is_unknown() -> None:
    assert of(model__source="someone/else") is None
