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


MI300X_VF = {"mem_info_vram_total": str(196_288 << 20)}
OF_A_PARTITION: dict[str, str] = {}
IN_PARTITIONS = {**MI300X_VF, "current_compute_partition": "CPX"}
SILENT = {"mem_info_vram_total": ""}
EMPTY = {"mem_info_vram_total": "0"}


def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: list[Any]) -> tuple[int, ...]:
    """The fact on a host with these render nodes, whose amd-smi says 7 MiB."""
    smi = tmp_path / "amd-smi"
    smi.write_text('#!/bin/sh\necho \'{"gpu_data": ' + json.dumps([row({"value": 7})]) + "}'\n")
    smi.chmod(0o755)
    monkeypatch.setattr(gpu_memory, "AMD_SMI", smi)
    monkeypatch.setattr(gpu_memory, "DEVICES", f"{tmp_path}/drm/renderD*/device")
    for number, files in enumerate(gpus):
        device = tmp_path / "drm" / f"renderD{128 + number}" / "device"
        device.mkdir(parents=True)
        for name, text in files.items():
            (device / name).write_text(f"{text}\n" if text else "")
    command = ["sh", "-c", GpuMemory().command()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return GpuMemory().process(done.stdout.splitlines())


@pytest.mark.parametrize(
    ("gpus", "memory"),
    [
        ([MI300X_VF], (196_288,)),
        ([MI300X_VF, MI300X_VF], (196_288, 196_288)),
        ([MI300X_VF, OF_A_PARTITION, OF_A_PARTITION], (196_288,)),
        ([{**MI300X_VF, "current_compute_partition": "SPX"}], (196_288,)),
        # amd-smi is asked where the driver does not say.
        ([], (7,)),
        ([OF_A_PARTITION], (7,)),
        ([IN_PARTITIONS], (7,)),
        ([MI300X_VF, IN_PARTITIONS], (7,)),
        ([SILENT], (7,)),
        ([EMPTY], (7,)),
        ([EMPTY, MI300X_VF], (7,)),
        ([MI300X_VF, SILENT], (7,)),
        ([{**MI300X_VF, "current_compute_partition": ""}], (7,)),
    ],
)
def test_the_driver_is_asked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: list[Any], memory: tuple[int, ...]
) -> None:
    assert asked(tmp_path, monkeypatch, gpus) == memory


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
