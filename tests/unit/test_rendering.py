"""Golden files for every rendered template."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from rocminfra.planning.engine_command import (
    HASH_PLACEHOLDER,
    cache_environment,
    config_hash,
    docker_run_arguments,
)
from rocminfra.playbook_files import playbook_root
from rocminfra.rendering import render, vllm_environment, vllm_unit
from rocminfra.settings import Settings, load_settings

Golden = Callable[[str, str], None]
IMAGE = "vllm/vllm-openai-rocm@sha256:" + "5" * 64
HASH = "c" * 64
# The command as it was published, less the line breaks.
PUBLISHED = (
    "docker run -d --name vllm-qwen2-vl-72b --network host --ipc=host --device=/dev/kfd "
    "--device=/dev/dri --group-add video --group-add render -v /mnt/models:/mnt/models:rw "
    "-e HF_HOME=/mnt/models/huggingface -e VLLM_USE_TRITON_FLASH_ATTN=1 "
    "--model Qwen/Qwen2-VL-72B-Instruct vllm/vllm-openai-rocm:v0.20.1 --dtype bfloat16 "
    "--gpu-memory-utilization 0.92 --max-model-len 16384 --max-num-seqs 64 "
    "--max-num-batched-tokens 8192 --enable-chunked-prefill --port 8000"
)
UNUSUAL = {
    "model": {"name": "tëst 100% $model", "source": "/srv/my models/toy"},
    "storage": {"mount_point": "/mnt/scratch disk"},
    "huggingface": {"home": "/mnt/scratch disk/hf"},
    "docker": {"data_root": "/mnt/scratch disk/docker"},
    "engine": {"container_name": "vllm-two", "environment": {"NAME": "a b"}},
    "vllm": {
        "tensor_parallel_size": 2,
        "kv_cache_dtype": "fp8",
        "max_pixels": 1003520,
        "ipc_host": False,
        "shm_size": "8g",
        "extra_args": ["--limit-mm-per-prompt", '{"image":1,"video":0}'],
    },
}


def settings_named(case: str) -> Settings:
    return {"reference": Settings(), "unusual": load_settings(UNUSUAL)}[case]


@pytest.mark.parametrize("case", ["reference", "unusual"])
def test_unit(case: str, golden: Golden) -> None:
    settings = settings_named(case)
    text = vllm_unit(settings, image=IMAGE, group_ids=[992, 44, 992], config_hash=HASH)
    golden(f"{case}.vllm.service", text)


@pytest.mark.parametrize("case", ["reference", "unusual"])
def test_container_environment(case: str, golden: Golden) -> None:
    golden(f"{case}.vllm.env", vllm_environment(settings_named(case)))


@pytest.mark.parametrize("case", ["reference", "unusual"])
@pytest.mark.parametrize(
    "template", ["profile.sh.j2", "user-environment.conf.j2", "systemd-environment.conf.j2"]
)
def test_cache_environments(case: str, template: str, golden: Golden) -> None:
    environment = cache_environment(settings_named(case))
    golden(f"{case}.{template.removesuffix('.j2')}", render(template, {"environment": environment}))


@pytest.mark.parametrize("case", ["reference", "unusual"])
def test_docker_waits_for_the_scratch_disk(case: str, golden: Golden) -> None:
    values = {"mount_point": settings_named(case).storage.mount_point}
    golden(f"{case}.docker-scratch.conf", render("docker-scratch.conf.j2", values))


def test_udev_rule(golden: Golden) -> None:
    golden("udev.rules", render("udev.rules.j2", {"group": "render"}))


def test_kernel_setting(golden: Golden) -> None:
    golden("sysctl.conf", render("sysctl.conf.j2", {"numa_balancing": "0"}))


def test_every_template_has_a_golden_file() -> None:
    names = {path.name.removesuffix(".j2") for path in (playbook_root() / "templates").iterdir()}
    kept = {path.name for path in (Path(__file__).parent / "golden").iterdir()}
    assert names
    for name in names:
        assert any(file == name or file.endswith(f".{name}") for file in kept), name


def test_a_value_that_a_template_misses_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="group"):
        render("udev.rules.j2", {})


def published_values() -> dict[str, str]:
    words = shlex.split(PUBLISHED)
    return {
        word: words[index + 1]
        for index, word in enumerate(words[:-1])
        if word.startswith("--") and "=" not in word
    }


@pytest.mark.parametrize(
    "flag",
    [
        "--dtype",
        "--gpu-memory-utilization",
        "--max-model-len",
        "--max-num-seqs",
        "--max-num-batched-tokens",
        "--port",
    ],
)
def test_the_published_command_is_the_default(flag: str) -> None:
    ours = docker_run_arguments(Settings(), image=IMAGE, group_ids=[992, 44], config_hash=HASH)
    assert f"{flag}={published_values()[flag]}" in ours


def test_published_fault_model_before_the_image_is_not_repeated() -> None:
    # Docker takes what stands before the image for its own flag: "unknown flag: --model".
    words = shlex.split(PUBLISHED)
    assert words.index("--model") < words.index(Settings().engine.image)
    ours = docker_run_arguments(Settings(), image=IMAGE, group_ids=[992, 44], config_hash=HASH)
    assert "--model" not in ours
    assert ours[ours.index(IMAGE) + 1] == "Qwen/Qwen2-VL-72B-Instruct"


def test_published_fault_removed_variable_triton_flash_attn_is_not_repeated() -> None:
    # vLLM 0.20.1 does not know it, and would refuse it with the validation we ask for.
    assert "VLLM_USE_TRITON_FLASH_ATTN" in PUBLISHED
    assert "VLLM_USE_TRITON_FLASH_ATTN" not in vllm_environment(Settings())
    ours = docker_run_arguments(Settings(), image=IMAGE, group_ids=[992, 44], config_hash=HASH)
    assert "--fail-on-environ-validation" in ours


def test_groups_are_numeric_because_names_mean_something_else_inside_the_image() -> None:
    ours = docker_run_arguments(Settings(), image=IMAGE, group_ids=[992, 44], config_hash=HASH)
    assert [word for word in ours if "group-add" in word] == ["--group-add=44", "--group-add=992"]


@pytest.mark.parametrize(
    ("data", "deployed"),
    [
        ({}, "235026dea2277425167733529ba0b1bf611a13c42a686a4ec7cebc6b8e700437"),
        (
            {
                "vllm.max_num_seqs": 32,
                "model.source": "/srv/models/llama",
                "model.name": "llama",
            },
            "262ce34a82da90ca75ec72d5026c8a71026017ff8ec9e0f527aab310c76aa18e",
        ),
    ],
)
def test_a_host_that_the_first_version_deployed_keeps_serving(
    data: dict[str, Any], deployed: str
) -> None:
    """The label that its container has is what we compute today, so nothing is restarted."""
    settings = load_settings(data)
    image, groups = f"vllm/vllm-openai-rocm@sha256:{'a' * 64}", (44, 110)
    unit = vllm_unit(settings, image=image, group_ids=groups, config_hash=HASH_PLACEHOLDER)
    environment = vllm_environment(settings)
    assert config_hash(unit=unit, environment=environment, image=image) == deployed
