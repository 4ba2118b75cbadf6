"""The command line takes and refuses what vLLM 0.20.1's does."""

from __future__ import annotations

import pytest
from engine_under_test import REFERENCE_FLAGS, arguments

from rocminfra.lab.engine.arguments import ArgumentsError, parse
from rocminfra.lab.engine.modelled import CapacityError, modelled
from rocminfra.lab.engine.simulation import Simulation
from rocminfra.planning.engine_command import serve_arguments
from rocminfra.settings import load_settings


def test_the_reference_run() -> None:
    parsed = arguments()
    assert parsed.served_model_names == ("Qwen/Qwen2-VL-72B-Instruct",)
    assert (parsed.max_model_len, parsed.max_num_seqs) == (16_384, 64)
    assert (parsed.max_num_batched_tokens, parsed.gpu_memory_utilization) == (8_192, 0.92)
    assert parsed.enable_chunked_prefill


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"vllm.enable_chunked_prefill": False, "vllm.max_num_batched_tokens": 16_384},
        {
            "vllm.kv_cache_dtype": "fp8",
            "vllm.tensor_parallel_size": 2,
            "vllm.max_pixels": 1_003_520,
        },
    ],
    ids=["defaults", "not chunked", "everything"],
)
def test_what_our_own_unit_passes_is_understood(settings: dict[str, object]) -> None:
    """The settings' command is what runs in production: the simulator must read all of it."""
    wanted = load_settings(settings)
    parsed = parse(["serve", *serve_arguments(wanted)])
    assert parsed.served_model_names == (wanted.model.name,)
    assert parsed.port == wanted.vllm.port
    assert parsed.max_num_batched_tokens == wanted.vllm.max_num_batched_tokens
    assert parsed.enable_chunked_prefill is wanted.vllm.enable_chunked_prefill
    assert parsed.tensor_parallel_size == wanted.vllm.tensor_parallel_size
    assert parsed.max_pixels == wanted.vllm.max_pixels
    assert parsed.shutdown_timeout == wanted.engine.shutdown_timeout_s
    assert parsed.fail_on_environ_validation


@pytest.mark.parametrize("flag", ["--swap-space=4", "--disable-log-requests", "--no-such-flag"])
def test_an_unknown_flag_ends_it_as_argparse_does(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(flag)
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith("usage: vllm ")
    assert error.endswith(f"vllm: error: unrecognized arguments: {flag}\n")


def test_a_bad_value_names_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments("--max-num-seqs", "many")
    assert "argument --max-num-seqs: Invalid value: many" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "length"),
    [
        (("--max_model_len", "8192"), 8_192),
        (("--max-model-len=8k",), 8_000),
        (("--max-model-len", "8K"), 8_192),
    ],
)
def test_spellings_that_vllm_takes(flags: tuple[str, ...], length: int) -> None:
    assert arguments(*flags).max_model_len == length


def test_a_dotted_flag_is_json() -> None:
    assert arguments("--mm-processor-kwargs.max_pixels", "1003520").max_pixels == 1_003_520


def test_flags_without_effect_here_are_taken() -> None:
    arguments(
        *("--limit-mm-per-prompt", '{"image":1,"video":0}', "--allowed-media-domains", "a.example"),
        *("--no-enable-prefix-caching", "--attention-backend", "ROCM_ATTN", "-O3"),
        *("--api-key", "a", "b", "--trust-remote-code", "--data-parallel-size", "8"),
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--gpu-memory-utilization", "1.2"), "gpu_memory_utilization"),
        (("--max-num-batched-tokens", "32"), "max_num_seqs"),
    ],
)
def test_values_that_contradict_each_other(flags: tuple[str, ...], words: str) -> None:
    with pytest.raises(ArgumentsError, match=words):
        arguments(*flags)


@pytest.mark.parametrize(
    ("flags", "blocks"),
    [
        ((), 6_590),
        (("--kv-cache-dtype", "fp8"), 13_180),
        (("--num-gpu-blocks-override", "2000"), 2_000),
    ],
    ids=["reference", "fp8", "override"],
)
def test_capacity_follows_the_flags(flags: tuple[str, ...], blocks: int) -> None:
    engine = modelled(arguments(*flags), Simulation(), 16_384)
    assert engine.scheduler.num_gpu_blocks == blocks


def test_more_memory_and_more_gpus_give_more_blocks() -> None:
    one = modelled(arguments(), Simulation(), 16_384).scheduler.num_gpu_blocks
    larger = modelled(arguments(), Simulation(gpu="mi325x"), 16_384).scheduler.num_gpu_blocks
    two = modelled(arguments("-tp", "2"), Simulation(), 16_384).scheduler.num_gpu_blocks
    assert two > larger > one


@pytest.mark.parametrize(
    ("utilization", "words"),
    [
        ("0.5", "No available memory for the cache blocks"),
        ("0.77", "estimated maximum model length"),
    ],
)
def test_too_little_memory_is_said_in_vllms_words(utilization: str, words: str) -> None:
    flags = arguments("--gpu-memory-utilization", utilization)
    with pytest.raises(CapacityError, match=words):
        modelled(flags, Simulation(), 16_384)


def test_the_model_may_be_an_option() -> None:
    parsed = parse(["serve", "--model", "/models/toy", *REFERENCE_FLAGS])
    assert parsed.model == "/models/toy"
    assert parsed.model_was_an_option
