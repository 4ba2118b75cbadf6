"""The engine's own figure of its KV cache."""

from __future__ import annotations

import pytest

from rocminfra.facts.engine_cache import EngineCache, EngineCacheConfig

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
