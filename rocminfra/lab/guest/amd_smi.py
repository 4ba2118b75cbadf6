#!/usr/bin/python3 -IS
"""Simulated amd-smi: the real JSON shapes of both generations, with changing figures.

    amd-smi list|static|metric|process|monitor|version [options] [--json|--csv]

ROCm 6 prints a bare list for static and metric, ROCm 7 an object with ``gpu_data``; ``process`` is
a list in both. /etc/rocminfra-lab/gpu.json selects the generation, AMD_SMI_ROCM=6 or 7 overrides
it. VRAM is in use while a process listens on the engine's port: nothing else here can use any.

Standard library only. ``-w SECONDS`` and ``-i TIMES`` repeat; other options are ignored. It starts
once per run and host, and for every sample of a benchmark, so it imports modules only when needed.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONFIG = "/etc/rocminfra-lab/gpu.json"
COUNTER = "/run/rocminfra-lab-energy.json"
LISTEN = "0A"  # state of a listening socket in /proc/net/tcp (include/net/tcp_states.h)
# A real idle MI300X VF reports a few hundred MiB in use, by the driver.
IDLE_VRAM_MIB = 285
BUSY_W, IDLE_W = 612, 141
DEFAULTS: dict[str, Any] = {
    "rocm": 7,
    "time_scale": 1,
    "gpus": 1,
    "vram_mib": 196288,
    "port": 8000,
    "used_fraction": 0.92,
}
COMMANDS = ("list", "static", "metric", "process", "monitor", "version")


def main(arguments: list[str]) -> int:
    """Print the subcommand's output. Returns 0, or 2 for an unknown subcommand."""
    words = [word for word in arguments if not word.startswith("-")]
    command = "version" if "--version" in arguments else (words[0] if words else "")
    if command not in COMMANDS:
        print(f"AmdSmiInvalidCommandException: Command '{command}' is invalid.", file=sys.stderr)
        return 2
    config = {**DEFAULTS, **_config()}
    config["rocm"] = int(os.environ.get("AMD_SMI_ROCM", config["rocm"]))
    period, times = _option(arguments, "-w", "--watch"), _option(arguments, "-i", "--iterations")
    left = 1 if period is None else (times or -1)
    while left:
        left -= 1
        rows = answer(command, config, listening(int(config["port"])))
        if "--csv" in arguments:
            print_csv(rows)
        else:
            wraps = command in ("static", "metric") and config["rocm"] >= 7
            print(json.dumps({"gpu_data": rows} if wraps else rows, indent=4))
        if left and period:
            sys.stdout.flush()
            time.sleep(period)
    return 0


def answer(command: str, config: dict[str, Any], busy: bool) -> list[dict[str, Any]]:
    """Rows of ``command``, one per GPU (``version`` has a single row)."""
    if command == "version":
        tool, rocm = ("26.2.2", "7.2.1") if config["rocm"] >= 7 else ("24.6.3", "6.2.4")
        return [{"tool": "AMDSMI Tool", "version": f"{tool}+sim", "rocm_version": rocm}]
    makers = {"list": _list, "static": _static, "process": _process}
    maker = makers.get(command, _metric)
    return [maker(gpu, config, busy) for gpu in range(int(config["gpus"]))]


def listening(port: int) -> bool:
    """Whether any process listens on ``port`` of this machine."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:
                rows = [line.split() for line in file.readlines()[1:]]
        except OSError:
            continue
        for fields in rows:
            if fields[3] == LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                return True
    return False


def name(config: dict[str, Any]) -> str:
    """The GPU's name, which cannot be mistaken for a real one."""
    return f"MI300X simulated ×{config['time_scale']:g}"


def print_csv(rows: list[dict[str, Any]]) -> None:
    """Print rows as CSV with a column per leaf, like amd-smi."""
    import csv

    flat = [_flat(row) for row in rows]
    writer = csv.DictWriter(sys.stdout, fieldnames=list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if not isinstance(value, dict):
            flat[key] = value
        elif set(value) == {"value", "unit"}:
            flat[key] = value["value"]
        else:
            flat.update(_flat(value))
    return flat


def _option(arguments: list[str], *names: str) -> int | None:
    for option, value in itertools.pairwise(arguments):
        if option in names and value.isdigit():
            return int(value)
    return None


def _config() -> dict[str, Any]:
    try:
        with open(CONFIG, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _value(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit}


def _used_mib(config: dict[str, Any], busy: bool) -> int:
    return int(config["vram_mib"] * config["used_fraction"]) if busy else IDLE_VRAM_MIB


def _list(gpu: int, config: dict[str, Any], _busy: bool) -> dict[str, Any]:
    return {
        "gpu": gpu,
        "bdf": f"0000:{0x83 + gpu:02x}:00.0",
        "uuid": f"{gpu:02x}ff74b5-0000-1000-80{gpu:02x}-000000000000",
        "kfd_id": 51000 + gpu,
        "node_id": gpu + 1,
        "partition_id": 0,
    }


def _static(gpu: int, config: dict[str, Any], _busy: bool) -> dict[str, Any]:
    return {
        "gpu": gpu,
        "asic": {
            "market_name": name(config),
            "vendor_id": "0x1002",
            "vendor_name": "Advanced Micro Devices Inc. [AMD/ATI]",
            "subvendor_id": "0x1002",
            "device_id": "0x74b5",
            "subsystem_id": "0x74a1",
            "rev_id": "0x00",
            "asic_serial": f"0x{gpu:016X}",
            "oam_id": gpu,
            "num_compute_units": 304,
            "target_graphics_version": "gfx942",
        },
        "bus": {
            "bdf": f"0000:{0x83 + gpu:02x}:00.0",
            "max_pcie_width": "N/A",
            "max_pcie_speed": "N/A",
            "pcie_interface_version": "N/A",
            "slot_type": "OAM",
        },
        "driver": {"name": "amdgpu", "version": "simulated"},
        "vram": {
            "type": "HBM",
            "vendor": "N/A",
            "size": _value(config["vram_mib"], "MB"),
            "bit_width": 8192,
            # Bandwidth scales with time to keep derived figures consistent.
            "max_bandwidth": _value(round(5300 * config["time_scale"]), "GB/s"),
        },
        "limit": {"max_power": _value(750, "W"), "socket_power": _value(750, "W")},
        "numa": {"node": 0, "affinity": -1},
        "partition": {
            "accelerator_partition": "SPX",
            "memory_partition": "NPS1",
            "partition_id": 0,
        },
    }


def _metric(gpu: int, config: dict[str, Any], busy: bool) -> dict[str, Any]:
    used = _used_mib(config, busy)
    row: dict[str, Any] = {
        "gpu": gpu,
        "usage": {
            "gfx_activity": _value(94 if busy else 0, "%"),
            "umc_activity": _value(61 if busy else 0, "%"),
            "mm_activity": "N/A",
        },
        "power": {
            "socket_power": _value(BUSY_W if busy else IDLE_W, "W"),
            "gfx_voltage": "N/A",
            "soc_voltage": "N/A",
            "mem_voltage": "N/A",
            "throttle_status": "UNTHROTTLED",
        },
        "clock": {
            "gfx_0": {
                "clk": _value(2100 if busy else 132, "MHz"),
                "min_clk": _value(500, "MHz"),
                "max_clk": _value(2100, "MHz"),
                "clk_locked": "DISABLED",
                "deep_sleep": "DISABLED" if busy else "ENABLED",
            }
        },
        "temperature": {
            "edge": "N/A",
            "hotspot": _value(71 if busy else 44, "C"),
            "mem": _value(58 if busy else 37, "C"),
        },
        "ecc": {"total_correctable_count": 0, "total_uncorrectable_count": 0},
        "energy": {"total_energy_consumption": _value(_energy_j(busy), "J")},
        "mem_usage": {
            "total_vram": _value(config["vram_mib"], "MB"),
            "used_vram": _value(used, "MB"),
            "free_vram": _value(config["vram_mib"] - used, "MB"),
        },
    }
    return row


def _energy_j(busy: bool) -> float:
    """The energy counter, which only rises: the sum of power times elapsed time per reading."""
    with open("/proc/uptime", encoding="ascii") as file:
        now = float(file.read().split()[0])
    try:
        with open(COUNTER, encoding="ascii") as file:
            joules, since = (float(value) for value in json.load(file))
    except (OSError, ValueError, TypeError):
        joules, since = 0.0, now
    joules += (now - since) * (BUSY_W if busy else IDLE_W)
    draft = f"{COUNTER}.{os.getpid()}"
    try:
        with open(draft, "w", encoding="ascii") as file:
            json.dump([joules, now], file)
        os.replace(draft, COUNTER)
    except OSError:  # not root: can read the counter, but not advance it
        pass
    return round(joules, 3)


def _process(gpu: int, config: dict[str, Any], busy: bool) -> dict[str, Any]:
    if not busy:
        return {"gpu": gpu, "process_list": [{"process_info": "No running processes detected"}]}
    used = _used_mib(config, busy) * 1024**2
    info = {
        "name": "vllm",
        "pid": _engine_pid(),
        "memory_usage": {
            "gtt_mem": _value(0, "B"),
            "cpu_mem": _value(0, "B"),
            "vram_mem": _value(used, "B"),
        },
        "mem_usage": _value(used, "B"),
        "usage": {"gfx": _value(0, "ns"), "enc": _value(0, "ns")},
    }
    return {"gpu": gpu, "process_list": [{"process_info": info}]}


def _engine_pid() -> int:
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if b"serve" in words[:4] and any(b"vllm" in word for word in words[:3]):
            return int(entry)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
