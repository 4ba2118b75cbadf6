"""The engine's command, environment and hash."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocminfra.planning.engine_command import (
    config_hash,
    container_environment,
    docker_run_arguments,
    environment_lines,
    serve_arguments,
    systemd_word,
)
from rocminfra.settings import Settings, load_settings


def test_nothing_is_reachable_from_outside_unless_asked() -> None:
    assert "--host=127.0.0.1" in serve_arguments(Settings())


def test_every_cache_lies_on_the_scratch_disk() -> None:
    environment = container_environment(Settings())
    folders = [value for value in environment.values() if value.startswith("/")]
    assert len(folders) == 7
    assert all(folder.startswith("/mnt/models/") for folder in folders)


def test_own_variables_win_and_are_sorted_into_lines() -> None:
    settings = load_settings({"engine": {"environment": {"HF_HUB_OFFLINE": "0", "A": "x y"}}})
    lines = environment_lines(container_environment(settings))
    assert "HF_HUB_OFFLINE=0" in lines
    assert lines[1] == "AITER_JIT_DIR=/mnt/models/caches/aiter"
    assert lines == sorted(lines)


def test_a_revision_is_passed_for_the_hub_only() -> None:
    hub = load_settings({"model.revision": "abc"})
    folder = load_settings({"model.revision": "abc", "model.source": "/srv/toy"})
    assert "--revision=abc" in serve_arguments(hub)
    assert "--revision=abc" not in serve_arguments(folder)
    assert serve_arguments(folder)[0] == "/mnt/models/models/toy"


def test_chunked_prefill_can_be_turned_off() -> None:
    off = load_settings(
        {"vllm": {"enable_chunked_prefill": False, "max_num_batched_tokens": 16384}}
    )
    assert "--no-enable-chunked-prefill" in serve_arguments(off)


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a b", '"a b"'),
        ("100%", "100%%"),
        ("$HOME", "$$HOME"),
        ('{"a":1}', '"{\\"a\\":1}"'),
        ("back\\slash", '"back\\\\slash"'),
        ("one;two", '"one;two"'),
    ],
)
def test_systemd_word(word: str, quoted: str) -> None:
    assert systemd_word(word) == quoted


PARTS = st.tuples(st.text(), st.text(), st.text())


@given(PARTS, PARTS)
def test_hash_differs_when_any_part_does(one: tuple[str, ...], two: tuple[str, ...]) -> None:
    def hashed(parts: tuple[str, ...]) -> str:
        return config_hash(unit=parts[0], environment=parts[1], image=parts[2])

    assert (hashed(one) == hashed(two)) == (one == two)


def test_the_container_cannot_write_dockers_data_or_the_models() -> None:
    arguments = docker_run_arguments(Settings(), image="i", group_ids=[], config_hash="h")
    volumes = [word.removeprefix("--volume=") for word in arguments if "--volume" in word]
    assert volumes == [
        "/mnt/models/caches:/mnt/models/caches:rw",
        "/mnt/models/huggingface:/mnt/models/huggingface:rw",
        "/mnt/models/models:/mnt/models/models:ro",
    ]


def test_a_container_gets_all_device_nodes_unless_told_which() -> None:
    def devices(**chosen: Sequence[str]) -> list[str]:
        arguments = docker_run_arguments(
            Settings(), image="i", group_ids=(44,), config_hash="h", **chosen
        )
        return [word for word in arguments if word.startswith("--device=")]

    assert devices() == ["--device=/dev/kfd", "--device=/dev/dri"]
    assert devices(devices=("/dev/dri/renderD128", "/dev/dri/renderD136")) == [
        *("--device=/dev/kfd", "--device=/dev/dri/renderD128", "--device=/dev/dri/renderD136"),
    ]
