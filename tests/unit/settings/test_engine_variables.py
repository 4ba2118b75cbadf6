"""Variables of the engine that a setting gives, or that lead it away from its model."""

from __future__ import annotations

import pytest

from rocminfra.settings import SettingsError, load_settings


def said(environment: dict[str, str], **others: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings({"engine.environment": environment, **others})
    (problem,) = caught.value.problems
    return problem.what


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("HF_HOME", "huggingface.home"),
        ("HF_HUB_CACHE", "huggingface.home"),
        ("HUGGINGFACE_HUB_CACHE", "huggingface.home"),
        ("TRANSFORMERS_CACHE", "huggingface.home"),
        ("HF_ENDPOINT", "huggingface.endpoint"),
    ],
)
def test_what_a_setting_gives_is_refused_with_that_setting(name: str, setting: str) -> None:
    for value in ("/mnt/models/huggingface", " ", ""):
        assert said({name: value}) == f"{name} is given by {setting}: set that instead"


@pytest.mark.parametrize("value", ["true", "True", "1"])
def test_another_hub_does_not_have_what_was_downloaded(value: str) -> None:
    assert "another hub" in said({"VLLM_USE_MODELSCOPE": value})


def test_the_engines_own_connections_are_not_where_it_serves() -> None:
    assert "must not be vllm.port" in said({"VLLM_PORT": "8000"})
    assert "must not be vllm.port" in said({"VLLM_PORT": "9000"}, **{"vllm.port": 9000})
    for odd in ("tcp://10.0.0.1:8000", "", "0", "70000", "8000.0"):
        assert "VLLM_PORT must be a port" in said({"VLLM_PORT": odd})


@pytest.mark.parametrize(
    "environment",
    [
        {"VLLM_PORT": "9000"},
        {"HF_HUB_OFFLINE": "0", "VLLM_USE_MODELSCOPE": "false", "HF_HUB_ETAG_TIMEOUT": "3"},
        {"TRITON_CACHE_DIR": "/mnt/models/caches/other", "VLLM_HOST_IP": "203.0.113.9"},
    ],
)
def test_others_are_left_alone(environment: dict[str, str]) -> None:
    assert load_settings({"engine.environment": environment}).engine.environment == environment


def test_a_variable_without_a_value_is_named() -> None:
    assert said({"A": None, "B": "x"}).startswith("A should be a valid string")  # type: ignore[dict-item]
