"""Print what the driver reports about this machine's GPUs, as one line of JSON.

    python3 gpu_probe.py

``gpus`` has one entry per DRM render node: its name (``node``), the resolved path of its device in
sysfs (``path``), its ``driver``, and the FILES of that device. A file is ``{"text": …}``,
``{"error": …}`` when it exists but cannot be read, or null when it does not exist. ``amd_smi`` is
the run of ``amd-smi metric --json`` as ``{"rc": …, "out": …, "err": …}``, or null when it was not
needed. Where sysfs has the memory of every GPU, ``amd-smi`` would only cost the time to load Python
and the ROCm libraries, and it hangs when the driver is wedged.

Standard library only, Python 3.8: this file is sent to the host as it is.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DRM = "/sys/class/drm"
# The file from which amd-smi itself reads the total (rocm_smi_lib: kDevMemTotVRAM), in bytes.
# Render nodes of a GPU's additional partitions do not have it.
TOTAL = "mem_info_vram_total"
# SPX means not partitioned. A GPU without this file cannot be partitioned.
COMPUTE_PARTITION = "current_compute_partition"
FILES = ("vendor", "device", TOTAL, COMPUTE_PARTITION, "current_memory_partition")

AMD_SMI = "/opt/rocm/bin/amd-smi"
AMD_SMI_DEADLINE_S = 20


def observe() -> dict[str, Any]:
    """Every GPU with a render node, and ``amd-smi``'s answer where sysfs is not sufficient."""
    gpus = [gpu(node) for node in render_nodes()]
    return {"gpus": gpus, "amd_smi": None if is_enough(gpus) else amd_smi()}


def render_nodes() -> list[str]:
    """Names of the DRM render nodes; empty without a driver."""
    try:
        return sorted(name for name in os.listdir(DRM) if name.startswith("renderD"))
    except OSError:
        return []


def gpu(node: str) -> dict[str, Any]:
    """What sysfs reports about the device behind a render node."""
    device = f"{DRM}/{node}/device"
    driver = f"{device}/driver"
    seen: dict[str, Any] = {"node": node, "path": os.path.realpath(device)}
    seen["driver"] = os.path.basename(os.path.realpath(driver)) if os.path.exists(driver) else None
    seen.update((name, read(f"{device}/{name}")) for name in FILES)
    return seen


def read(path: str) -> dict[str, str] | None:
    """Text of a file without its newline, or the error; None if it does not exist."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return {"text": file.read().strip()}
    except FileNotFoundError:
        return None
    except OSError as error:
        return {"error": str(error)}


def is_enough(gpus: list[dict[str, Any]]) -> bool:
    """Whether sysfs has the memory of every GPU.

    It does not without a driver, nor when a GPU is partitioned: ROCm counts each partition as a
    GPU, and only ``amd-smi`` divides the memory among them.
    """
    totals = [each for each in gpus if each[TOTAL] is not None]
    for each in totals:
        total, partition = each[TOTAL].get("text", ""), each[COMPUTE_PARTITION]
        if not (total.isdigit() and int(total) > 0):
            return False
        if partition is not None and partition.get("text") != "SPX":
            return False
    return bool(totals)


def amd_smi() -> dict[str, Any]:
    """Exit code (None: missing or timed out), output and standard error of ``amd-smi``."""
    import subprocess  # rarely needed, and importing it takes a quarter of this program's time

    tool = AMD_SMI if os.access(AMD_SMI, os.X_OK) else "amd-smi"
    try:
        process = subprocess.Popen(
            (tool, "metric", "--json"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        return {"rc": None, "out": "", "err": str(error)}
    try:
        out, err = process.communicate(timeout=AMD_SMI_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()  # do not wait for it: it may be stuck in the kernel
        return {"rc": None, "out": "", "err": f"no answer within {AMD_SMI_DEADLINE_S} s"}
    return {
        "rc": process.returncode,
        "out": out.decode("utf-8", "replace"),
        "err": err.decode("utf-8", "replace").strip(),
    }


def main() -> int:
    """Print the report."""
    print(json.dumps(observe(), sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
