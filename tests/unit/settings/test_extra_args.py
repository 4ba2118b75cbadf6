"""Further arguments of the engine: what a setting gives is refused in every spelling of vLLM's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rocminfra.settings import SettingsError, load_settings
from rocminfra.settings.extra_args import problems, value_of

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests/cases/hosts"


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        (["--port=8001"], "vllm.port"),
        (["--served_model_name=mine"], "model.name"),
        (["--gpu-memory-utilization=0.5"], "vllm.gpu_memory_utilization"),
        (["--max-num-seqs", "32"], "vllm.max_num_seqs"),
        (["--max_num-seqs=32"], "vllm.max_num_seqs"),
        (["--max-num-s=32"], "vllm.max_num_seqs"),
        (["--max_model", "4096"], "vllm.max_model_len"),
        (["-tp", "4"], "vllm.tensor_parallel_size"),
        (["-tp=4"], "vllm.tensor_parallel_size"),
        (["--no-enable-chunked"], "vllm.enable_chunked_prefill"),
        (["--model=other"], "model.source"),
        (["--seed", "1", "--dtype", "auto"], "vllm.dtype"),
        (["--shutdown-timeout=600"], "engine.shutdown_timeout_s"),
        (["--max-num-seqs 32"], "vllm.max_num_seqs"),
        (["--mm-processor-kwargs.max_pixels=5"], "vllm.max_pixels"),
        (["--mm_processor_kwargs", '{"max_pixels": 5}'], "vllm.max_pixels"),
        (['--mm-processor-k={"max_pixels": 5}'], "vllm.max_pixels"),
    ],
)
def test_what_a_setting_gives_is_refused_with_that_setting(
    arguments: list[str], setting: str
) -> None:
    (problem,) = problems(arguments)
    assert problem.endswith(f"is given by {setting}: set that instead")
    with pytest.raises(SettingsError) as caught:
        load_settings({"vllm.extra_args": arguments})
    assert [problem.key for problem in caught.value.problems] == ["vllm.extra_args"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (['--limit-mm-per-prompt {"image":4}'], "write --limit-mm-per-prompt=VALUE, or two items"),
        (['--limit-mm-per-prompt = {"image":4}'], "has a blank"),
        (['--override-generation-config {"a":"x=y"}'], "stand in one item"),
        (["--seed\t3"], "write --seed=VALUE"),
        ([" --seed=3"], "has a blank"),
        (["--enforce-eager "], "has a blank"),
        (["--limit-mm-per-prompt='{\"image\":4}'"], "quotes of a shell"),
        (["\u2013-seed=3"], "another dash"),
        (["auto"], "item 1 is the value of no option"),
        (["--seed=3", "4"], "item 2 is the value of no option"),
        (["--uds=/run/vllm.sock"], "vllm.host and vllm.port"),
        (["--ssl_keyfile", "k"], "TLS"),
        (["--no-fail-on-environ-validation"], "misspelt VLLM_ variable"),
        (["--help"], "starts no engine"),
        (["--"], "ends the options"),
        (["--config", "x.yaml"], "where no setting sees them"),
        (["--config=x.yaml"], "where no setting sees them"),
        (["--conf", "x.yaml"], "which vLLM may take for --config"),
        (["--seed=1", "--seed", "2"], "--seed is given twice"),
        (["--lora_modules", "a=b", "--lora-modules", "c=d"], "--lora-modules is given twice"),
        (["--api_key", "word"], "--api-key gives the engine a secret"),
        (["--nnodes=2"], "waits for engines on other hosts"),
        (["--node_rank", "1"], "waits for engines on other hosts"),
        (["--nnodes", "2", "--node-rank=0"], "waits for engines on other hosts"),
        (["--runner", "pooling"], "--runner makes an engine that writes no text"),
        (["--task=embed"], "writes no text"),
        (["--conver", "reward"], "which vLLM may take for --convert, makes"),
        (["--api-server-count=0"], "starts no server"),
        (["-asc", "0"], "starts no server"),
        (["--skip-tokenizer-init"], "without a tokenizer"),
    ],
)
def test_what_no_engine_can_start_with_is_refused(arguments: list[str], words: str) -> None:
    (problem,) = problems(arguments)
    assert words in problem


@pytest.mark.parametrize(
    "arguments",
    [
        ["--limit-mm-per-prompt", '{"image":1,"video":0}'],
        ['--limit-mm-per-prompt={"image": 4}'],
        ["--chat-template=two words"],
        ["--max-logprobs", "-1"],
        ["--seed", "-1.5"],
        ["--model-impl=auto", "--hf-config-path=x", "--config-format", "hf"],
        ["--middleware=a", "--middleware", "b", "--hf-overrides.a=1", "--hf-overrides.b=2"],
        ["--ssl-ca-certs=x", "-O3", "-O.level=3", "-q", "fp8", "-dp", "2"],
        ["--allowed-media-domains", "a.example", "b.example"],
        ["--max-num-partial-prefills=2"],
        ["--nnodes=1", "--node-rank", "0"],
        ["--runner=generate", "--convert", "auto", "--api-server-count", "2", "-pp", "2"],
        ["--mm-processor-kwargs", '{"max_pixels":5,"min_pixels":4}'],
    ],
)
def test_other_arguments_are_left_alone(arguments: list[str]) -> None:
    assert problems(arguments) == []
    assert load_settings({"vllm.extra_args": arguments}).vllm.extra_args == arguments


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["--seed", "1", "-pp", "2"], "2"),
        (["--pipeline_parallel_size=4"], "4"),
        (["-pp=2", "--pipeline-parallel-size", "3"], "3"),
        (["--seed", "-pp"], ""),
        (["--pipeline-parallel-size-x", "3"], None),
        ([], None),
    ],
)
def test_the_value_of_an_option_in_its_spellings(arguments: list[str], value: str | None) -> None:
    assert value_of(arguments, "--pipeline-parallel-size", "-pp") == value


def test_arguments_of_the_processor_do_not_silently_replace_a_setting() -> None:
    arguments = ['--mm-processor-kwargs={"min_pixels":4}']
    with pytest.raises(SettingsError, match=r"would replace what vllm\.max_pixels gives"):
        load_settings({"vllm.extra_args": arguments, "vllm.max_pixels": 1_003_520})


def test_every_bad_item_is_named_and_no_value_repeated() -> None:
    found = problems(["--seed 3", "--port=8001", "--hf-overrides hf_SECRET"])
    assert len(found) == 3
    assert "SECRET" not in "".join(found)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("option-and-value-in-one-item.yaml", "write --limit-mm-per-prompt=VALUE"),
        ("options-of-settings.yaml", "--port is given by vllm.port"),
    ],
)
def test_the_command_refuses_them_before_anything_connects(
    case: str, words: str, tmp_path: Path
) -> None:
    environment = {name: text for name, text in os.environ.items() if "ROCMINFRA" not in name}
    environment |= {"ROCMINFRA_HOSTS_FILE": str(CASES / case), "PYTHONPATH": str(ROOT)}
    inventory = ROOT / "inventory/amd_cloud.py"
    done = subprocess.run(
        [sys.executable, "-m", "rocminfra", "apply", "-y", "-i", str(inventory)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "vllm.extra_args" in done.stderr
    assert words in done.stderr
    assert "onnect" not in done.stderr
