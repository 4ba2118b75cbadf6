"""What is a secret by its name, and what a command line may repeat."""

from __future__ import annotations

import pytest

from rocminfra.settings.secret_names import (
    is_masked_variable,
    is_refused_variable,
    secret_flag,
    shown_item,
)


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "VLLM_API_KEY", "api_key", "DB_PASSWORD_FILE", "CLIENT_SECRET", "TOKEN"],
)
def test_these_variables_hold_secrets(name: str) -> None:
    assert is_refused_variable(name)
    assert is_masked_variable(name)


@pytest.mark.parametrize(
    "name", ["TOKENIZERS_PARALLELISM", "VLLM_USE_V1", "HIP_VISIBLE_DEVICES", "MONKEY", "KEYS"]
)
def test_these_variables_do_not(name: str) -> None:
    assert not is_refused_variable(name)
    assert not is_masked_variable(name)


def test_a_key_is_masked_and_not_refused() -> None:
    assert (is_refused_variable("ROUTING_KEY"), is_masked_variable("ROUTING_KEY")) == (False, True)


@pytest.mark.parametrize(
    ("argument", "flag"),
    [
        ("--api-key", "--api-key"),
        ("--api-key=abc", "--api-key"),
        ("--api_key=abc", "--api-key"),
        ("--api-k", "--api-key"),
        ("--api-key abc", "--api-key"),
        ("--hf-token", "--hf-token"),
        ("--hf_tok=abc", "--hf-token"),
        ("--api-server-count=2", None),
        ("--hf-overrides={}", None),
        ("--seed=1", None),
        ("abc--api-key", None),
        ("", None),
    ],
)
def test_options_of_the_engine_whose_value_is_a_secret(argument: str, flag: str | None) -> None:
    assert secret_flag(argument) == flag


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        ("vllm.port=8001", "vllm.port=8001"),
        ("model.name=x=y", "model.name=x=y"),
        ("ssh_key=~/.ssh/id", "ssh_key=~/.ssh/id"),
        ("huggingface.token_env=MY_TOKEN", "huggingface.token_env=MY_TOKEN"),
        ('engine.environment={"VLLM_API_KEY": "abc"}', "engine.environment=…"),
        ("engine.environment.VLLM_API_KEY=abc", "engine.environment.VLLM_API_KEY=…"),
        ("_sudo_password=abc", "_sudo_password=…"),
        ("ssh_password=a=b", "ssh_password=…"),
        ("huggingface.token=abc", "huggingface.token=…"),
        ('ssh_paramiko_connect_kwargs={"password": "abc"}', "ssh_paramiko_connect_kwargs=…"),
        (
            "bench.torch_index_url=https://me:abc@mirror.example/simple",
            "bench.torch_index_url=https://…@mirror.example/simple",
        ),
    ],
)
def test_a_command_line_repeats_no_secret(item: str, shown: str) -> None:
    assert shown_item(item) == shown
