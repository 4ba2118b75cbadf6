"""Checks before the engine starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rocminfra.host.bench import amd_smi
from rocminfra.host.installed.preflight import (
    ENVIRONMENT,
    leftover_commands,
    listening_inodes,
    vram_percent,
    wait_until_clean,
)
from rocminfra.host.programs import installed, shared
from rocminfra.host_paths import ENGINE_ENVIRONMENT, PREFLIGHT, PROGRAMS

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1
   2: 0100007F:1F40 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 4713 1
"""


def test_only_listening_sockets_of_the_port_count() -> None:
    assert listening_inodes(TCP, 8000) == ["4711"]
    assert listening_inodes(TCP, 8001) == ["4712"]
    assert listening_inodes(TCP, 22) == []


def gpu(used: Any, total: Any = 196592) -> dict[str, Any]:
    return {
        "gpu": 0,
        "mem_usage": {
            "total_vram": {"value": total, "unit": "MB"},
            "used_vram": {"value": used, "unit": "MB"},
        },
    }


@pytest.mark.parametrize(
    ("document", "percent"),
    [
        ({"gpu_data": [gpu(98296)]}, 50.0),
        ([gpu(98296)], 50.0),
        ({"gpu_data": [gpu(0), gpu(196592)]}, 100.0),
        ({"gpu_data": [gpu("N/A")]}, None),
        ({"gpu_data": [{"gpu": 0, "mem_usage": "N/A"}]}, None),
        ({"gpu_data": [gpu(5, 0)]}, None),
        ({"gpu_data": []}, None),
        ("Invalid platform", None),
        ({}, None),
    ],
)
def test_vram_of_both_generations(document: object, percent: float | None) -> None:
    assert vram_percent(document) == percent


class Clock:
    """Time that passes only when somebody sleeps."""

    now = 0.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_waits_until_the_driver_has_given_the_memory_back() -> None:
    clock, readings = Clock(), [95.0, 60.0, 3.0, 99.0]
    found = wait_until_clean(lambda: readings.pop(0), 10, 900, clock.read, clock.sleep)
    assert found == 3.0
    assert clock.now == 4.0


def test_gives_up_at_the_deadline() -> None:
    clock = Clock()
    assert wait_until_clean(lambda: 95.0, 10, 5, clock.read, clock.sleep) == 95.0
    assert clock.now >= 5


def test_an_unknown_reading_does_not_wait() -> None:
    clock = Clock()
    assert wait_until_clean(lambda: None, 10, 900, clock.read, clock.sleep) is None
    assert clock.now == 0


@pytest.mark.parametrize("listing", ["", "other \nanother abc\n", "vllm-2 abc\n"])
def test_nothing_is_left_of_the_units_container(listing: str) -> None:
    assert leftover_commands(listing, "vllm", 90) == ([], "")


def test_what_is_left_of_ours_is_stopped_before_it_is_removed() -> None:
    commands, problem = leftover_commands("other \nvllm abc\n", "vllm", 90)
    assert commands == [["docker", "stop", "-t", "90", "vllm"], ["docker", "rm", "vllm"]]
    assert problem == ""


def test_somebodys_container_of_the_same_name_is_left_alone() -> None:
    # The published command makes one of exactly our default name.
    commands, problem = leftover_commands("vllm \n", "vllm", 90)
    assert commands == []
    assert "did not start" in problem
    assert "next:" in problem


@pytest.mark.parametrize(
    ("gpus", "environment", "percent"),
    [
        # A processor's own graphics show the console: nobody gives that memory back.
        ([gpu(0), gpu(400, 512)], {}, 0.0),
        # Somebody else's engine on a GPU that ours does not see.
        ([gpu(0), gpu(180_000)], {"HIP_VISIBLE_DEVICES": "0"}, 0.0),
        ([gpu(0), gpu(196592)], {"HIP_VISIBLE_DEVICES": "1"}, 100.0),
        # A partition's memory is its GPU's.
        ([gpu(98296), gpu("N/A", "N/A")], {"HIP_VISIBLE_DEVICES": "1"}, 50.0),
        # An impossible reading is ignored, and nothing waits for it to shrink.
        ([gpu(float("nan"))], {}, None),
        ([gpu(-5)], {}, None),
        ([gpu(200_000)], {}, None),
        ([gpu(5, float("inf"))], {}, None),
        ([{"mem_usage": {"total_vram": "192 GB", "used_vram": "98304 MB"}}], {}, 50.0),
    ],
)
def test_vram_of_the_engines_gpus_only(
    gpus: list[dict[str, Any]], environment: dict[str, str], percent: float | None
) -> None:
    assert vram_percent(gpus, environment) == percent


def test_a_gpu_that_has_failed_is_no_partition_of_the_one_before() -> None:
    rows = [gpu(0), gpu("N/A", "N/A"), gpu(196592)]
    hidden = {"HIP_VISIBLE_DEVICES": "1"}
    assert vram_percent(rows, hidden, partitions=False) == 100.0
    assert vram_percent(rows, hidden, partitions=True) == 0.0


def test_it_runs_on_a_host_with_nothing_but_python(tmp_path: Path) -> None:
    """As a file, with what it imports below it; nothing is written there."""
    for path, text in {**shared(), PREFLIGHT: installed(PREFLIGHT)}.items():
        file = tmp_path / Path(path).relative_to(PROGRAMS)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-S", str(tmp_path / "preflight.py"), "--help"],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_it_reads_the_engines_environment() -> None:
    assert ENVIRONMENT == ENGINE_ENVIRONMENT == str(amd_smi.ENGINE_ENVIRONMENT)
