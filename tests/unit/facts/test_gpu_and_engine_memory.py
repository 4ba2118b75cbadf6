"""amd-smi's memory in both generations, and the engine's KV cache."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rocminfra.facts.engine_cache import EngineCache, EngineCacheConfig
from rocminfra.facts.gpu_memory import GpuMemory


def row(total: Any) -> dict[str, Any]:
    return {"gpu": 0, "mem_usage": {"total_vram": total, "used_vram": {"value": 1, "unit": "MB"}}}


@pytest.mark.parametrize(
    ("document", "memory"),
    [
        ([row({"value": 196_592, "unit": "MB"})], (196_592,)),
        ({"gpu_data": [row({"value": 196_288, "unit": "MB"})] * 2}, (196_288, 196_288)),
        ({"gpu_data": [row("N/A")]}, ()),
        ({"gpu_data": [row({"value": "N/A", "unit": "MB"})]}, ()),
        ({"gpu_data": [{"gpu": 0}]}, ()),
        ([], ()),
        ("Invalid", ()),
    ],
)
def test_memory_in_both_generations(document: Any, memory: tuple[int, ...]) -> None:
    assert GpuMemory().process([json.dumps(document)]) == memory


def test_a_complaint_is_no_memory() -> None:
    assert GpuMemory().process(["Invalid platform"]) == ()
    assert GpuMemory().process([]) == ()


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


def test_commands_stay_the_same() -> None:
    assert GpuMemory().command() == GpuMemory().command()
    assert EngineCacheConfig().command(8_000) == EngineCacheConfig().command(8_000)
