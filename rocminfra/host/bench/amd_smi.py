"""What ``amd-smi`` says of the engine's GPUs.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.host.bench import driver_files
from rocminfra.planning.bench.possible import gpu_problems
from rocminfra.planning.gpus.amd_smi_output import (
    CELSIUS,
    JOULES,
    MIB,
    PERCENT,
    WATTS,
    figure,
    read,
)
from rocminfra.planning.gpus.gpu_selection import engine_rows, parse_environment

# Newer ROCm is found here and not on PATH; an older one may be in both.
AMD_SMI = "/opt/rocm/bin/amd-smi"
ENGINE_ENVIRONMENT = Path("/etc/rocminfra/vllm.env")
# A wedged driver hangs amd-smi for good.
AMD_SMI_TIMEOUT_S = 10.0

_GPU_LEAVES = {
    "gfx_activity_percent": (("usage", "gfx_activity"), PERCENT),
    "umc_activity_percent": (("usage", "umc_activity"), PERCENT),
    "power_w": (("power", "socket_power"), WATTS),
    "vram_used_mib": (("mem_usage", "used_vram"), MIB),
    "vram_total_mib": (("mem_usage", "total_vram"), MIB),
    "temperature_hotspot_c": (("temperature", "hotspot"), CELSIUS),
    "temperature_mem_c": (("temperature", "mem"), CELSIUS),
    "energy_j": (("energy", "total_energy_consumption"), JOULES),
}


def gpu_samples(text: str) -> list[dict[str, Any]]:
    """Figures of each GPU from ``amd-smi metric --json``.

    + text: what it printed, in any of the forms of its releases; ``N/A`` becomes None, never 0

    Raises ValueError when it is something else; ``amd-smi`` exits 0 after "Invalid platform".
    """
    return [
        {
            "gpu": row.get("gpu"),
            **{key: figure(row, path, units) for key, (path, units) in _GPU_LEAVES.items()},
        }
        for row in read(text)
    ]


def gpu_models() -> list[dict[str, Any]]:
    """What amd-smi calls the engine's GPUs: name, driver, and the power cap if it tells.

    Empty where it says nothing.
    """
    try:
        rows = read(_amd_smi("static"))
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    models = [
        {
            "name": _text(row, ("asic", "market_name")),
            "driver": _text(row, ("driver", "version")),
            "memory": figure(row, ("vram", "size"), MIB),
            **_known(power_cap_w=figure(row, ("limit", "socket_power"), WATTS)),
        }
        for row in rows
    ]
    return [
        {name: value for name, value in row.items() if name != "memory"}
        for row in _of_engine(models, "memory")
    ]


def gpus_of_engine() -> list[dict[str, Any]]:
    """Figures of the engine's GPUs from one call of ``amd-smi metric``.

    Raises OSError, ValueError or ``subprocess.SubprocessError`` when it has none.
    """
    return _of_engine(gpu_samples(_amd_smi("metric")), "vram_total_mib")


def engine_environment() -> dict[str, str]:
    """The engine's environment, which may hide GPUs from it; empty when it cannot be read."""
    try:
        return parse_environment(ENGINE_ENVIRONMENT.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def possible(gpu: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that can be: JSON has no NaN."""
    return {
        name: None if gpu_problems({"gpu": None, name: value}) else value
        for name, value in gpu.items()
    }


def _of_engine(rows: list[dict[str, Any]], memory: str) -> list[dict[str, Any]]:
    """Rows of the GPUs that the engine may use; all of them where amd-smi says no memory.

    + memory: key of their memory in MiB
    """
    totals = [row[memory] for row in rows]
    if all(total is None for total in totals):
        return rows
    partitions = driver_files.are_partitioned()
    return [rows[row] for row, _ in engine_rows(totals, engine_environment(), partitions)]


def _amd_smi(command: str) -> str:
    program = AMD_SMI if Path(AMD_SMI).exists() else shutil.which("amd-smi")
    if program is None:
        raise FileNotFoundError("no amd-smi on this host")
    done = subprocess.run(
        [program, command, "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=AMD_SMI_TIMEOUT_S,
        check=True,
        text=True,
    )
    return done.stdout


def _known(**figures: float | None) -> dict[str, float]:
    return {name: value for name, value in figures.items() if value is not None}


def _text(row: Mapping[str, Any], path: tuple[str, str]) -> str | None:
    part = row.get(path[0])
    value = part.get(path[1]) if isinstance(part, Mapping) else None
    return value if isinstance(value, str) and value != "N/A" else None
