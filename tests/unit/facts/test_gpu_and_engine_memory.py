"""amd-smi's memory in both generations, and the engine's KV cache."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rocminfra.facts import gpu_memory
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


MI300X_VF = str(196_288 << 20)


def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *totals: str | None) -> tuple[int, ...]:
    """The fact on a host whose render nodes have these totals, and whose amd-smi says 7 MiB."""
    smi = tmp_path / "amd-smi"
    smi.write_text('#!/bin/sh\necho \'{"gpu_data": ' + json.dumps([row({"value": 7})]) + "}'\n")
    smi.chmod(0o755)
    monkeypatch.setattr(gpu_memory, "AMD_SMI", smi)
    monkeypatch.setattr(gpu_memory, "RENDER_NODES", f"{tmp_path}/drm/renderD*")
    for number, total in enumerate(totals):
        device = tmp_path / "drm" / f"renderD{128 + number}" / "device"
        device.mkdir(parents=True)
        if total is not None:
            (device / "mem_info_vram_total").write_text(f"{total}\n")
    command = ["sh", "-c", GpuMemory().command()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return GpuMemory().process(done.stdout.splitlines())


def test_the_driver_says_how_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(tmp_path, monkeypatch, MI300X_VF) == (196_288,)


def test_each_gpu_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(tmp_path, monkeypatch, *[MI300X_VF] * 2) == (196_288, 196_288)


@pytest.mark.parametrize("totals", [(), (None,), (MI300X_VF, None), ("0",), ("0", MI300X_VF)])
def test_amd_smi_is_asked_where_the_driver_does_not_say_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, totals: tuple[str | None, ...]
) -> None:
    assert asked(tmp_path, monkeypatch, *totals) == (7,)


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
