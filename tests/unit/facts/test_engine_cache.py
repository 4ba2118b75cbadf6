"""The engine's own figure of its KV cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocminfra.facts.engine_cache import EngineCache, EngineCacheConfig

IMPOSSIBLE = Path(__file__).parents[1] / "planning" / "bench" / "impossible"

LINE = (
    'vllm:cache_config_info{block_size="16",cache_dtype="auto",engine="0",'
    'gpu_memory_utilization="0.92",num_gpu_blocks="6590"} 1.0'
)


def test_the_engines_own_figure() -> None:
    found = EngineCacheConfig().process([LINE])
    assert found == EngineCache(6_590, 16)
    assert found is not None
    assert found.tokens == 105_440


@pytest.mark.parametrize("line", ["", 'vllm:cache_config_info{block_size="16"} 1.0', "x"])
def test_without_its_figure_nothing_is_said(line: str) -> None:
    assert EngineCacheConfig().process([line]) is None


def test_the_command_stays_the_same() -> None:
    assert EngineCacheConfig().command(8_000) == EngineCacheConfig().command(8_000)


def test_of_several_engines_the_first_one_with_a_cache_speaks() -> None:
    page = (IMPOSSIBLE / "dp2.prom").read_text(encoding="utf-8").splitlines()
    lines = [line for line in page if line.startswith("vllm:cache_config_info")]
    assert EngineCacheConfig().process(lines) == EngineCache(6_590, 16)
    early = lines[0].replace("6590", "0")
    assert EngineCacheConfig().process([early]) is None
    assert EngineCacheConfig().process([early.replace('"0"', '"-3"'), lines[1]]) is not None
