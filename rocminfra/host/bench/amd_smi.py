"""What ``amd-smi`` says of the engine's GPUs.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.planning.bench.possible import gpu_problems
from rocminfra.planning.gpus.gpu_selection import engine_rows, parse_environment

# Newer ROCm is found here and not on PATH; an older one may be in both.
AMD_SMI = "/opt/rocm/bin/amd-smi"
ENGINE_ENVIRONMENT = Path("/etc/rocminfra/vllm.env")
# A wedged driver hangs amd-smi for good.
AMD_SMI_TIMEOUT_S = 10.0

_GPU_LEAVES = {
    "gfx_activity_percent": ("usage", "gfx_activity"),
    "umc_activity_percent": ("usage", "umc_activity"),
    "power_w": ("power", "socket_power"),
    "vram_used_mib": ("mem_usage", "used_vram"),
    "vram_total_mib": ("mem_usage", "total_vram"),
    "temperature_hotspot_c": ("temperature", "hotspot"),
    "temperature_mem_c": ("temperature", "mem"),
    "energy_j": ("energy", "total_energy_consumption"),
}


def gpu_samples(text: str) -> list[dict[str, Any]]:
    """Figures of each GPU from ``amd-smi metric --json``.

    + text: what it printed: a bare list (ROCm 6) or ``{"gpu_data": […]}`` (ROCm 7 and later);
      each leaf a ``{"value", "unit"}`` object or the text ``N/A``, which becomes None, never 0

    Raises ValueError when it is something else; ``amd-smi`` exits 0 after "Invalid platform".
    """
    return [
        {"gpu": row.get("gpu"), **{key: _leaf(row, path) for key, path in _GPU_LEAVES.items()}}
        for row in _gpu_rows(text)
    ]


def gpu_models() -> list[dict[str, Any]]:
    """What amd-smi calls the engine's GPUs: name, driver, and the power cap if it tells.

    Empty where it says nothing.
    """
    try:
        rows = _gpu_rows(_amd_smi("static"))
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    models = [
        {
            "name": _text(row, ("asic", "market_name")),
            "driver": _text(row, ("driver", "version")),
            "memory": _leaf(row, ("vram", "size")),
            **_known(power_cap_w=_leaf(row, ("limit", "socket_power"))),
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
    return [rows[row] for row, _ in engine_rows(totals, engine_environment())]


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


def _gpu_rows(text: str) -> list[dict[str, Any]]:
    parsed = json.loads(text)
    rows = parsed.get("gpu_data") if isinstance(parsed, dict) else parsed
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("amd-smi printed no list of GPUs")
    return rows


def _known(**figures: float | None) -> dict[str, float]:
    return {name: value for name, value in figures.items() if value is not None}


def _text(row: Mapping[str, Any], path: tuple[str, str]) -> str | None:
    part = row.get(path[0])
    value = part.get(path[1]) if isinstance(part, Mapping) else None
    return value if isinstance(value, str) and value != "N/A" else None


def _leaf(row: Mapping[str, Any], path: tuple[str, str]) -> float | None:
    part = row.get(path[0])
    value = part.get(path[1]) if isinstance(part, Mapping) else None
    if isinstance(value, Mapping):
        value = value.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)
