"""Memory of the host's GPUs, as the driver reports it."""

from __future__ import annotations

import json
from typing import Any

from pyinfra.api import FactBase

AMD_SMI = "/opt/rocm/bin/amd-smi"
# What amd-smi reads itself (rocm_smi_lib: kDevMemTotVRAM), bytes. It takes a Python program and the
# ROCm libraries some hundred milliseconds to say so. The nodes of partitions have no such file.
DEVICES = "/sys/class/drm/renderD*/device"
TOTAL = "mem_info_vram_total"
# SPX: not partitioned. Without the file the GPU cannot be.
PARTITION = "current_compute_partition"
BYTES_PER_MIB = 1 << 20


class GpuMemory(FactBase[tuple[int, ...]]):
    """MiB of each GPU; empty when nobody can say (no driver yet, no ``amd-smi``)."""

    @staticmethod
    def default() -> tuple[int, ...]:
        """Nobody can say."""
        return ()

    def command(self) -> str:
        """Shell command: the driver is asked, and where it does not say (there is none, or a GPU
        is in partitions, which ROCm counts as GPUs) ``amd-smi`` is, which a wedged driver hangs.
        """
        return (
            f"found=; for gpu in {DEVICES}; do test -e $gpu/{TOTAL} || continue; mode=SPX; total=; "
            f"{{ test ! -e $gpu/{PARTITION} || {{ mode=; read -r mode <$gpu/{PARTITION}; }}; "
            f"read -r total <$gpu/{TOTAL}; }} 2>/dev/null; "
            'case $mode-$total in SPX-[1-9]*) found="$found $total" ;; *) found=; break ;; esac; '
            'done; if test -n "$found"; then echo $found; else '
            f"smi={AMD_SMI}; test -x $smi || smi=$(command -v amd-smi || true); "
            'test -z "$smi" || timeout 20 "$smi" metric --json 2>/dev/null || true; fi'
        )

    def process(self, output: list[str]) -> tuple[int, ...]:
        """Bytes in one line, or amd-smi's JSON; empty when it is neither (``amd-smi`` may exit 0
        with a complaint).
        """
        words = output[0].split() if len(output) == 1 else []
        if words and all(word.isdecimal() for word in words):
            return tuple(int(word) // BYTES_PER_MIB for word in words)
        try:
            document = json.loads("\n".join(output))
        except ValueError:
            return ()
        # ROCm 6 prints a list, ROCm 7 an object.
        rows = document.get("gpu_data") if isinstance(document, dict) else document
        found = [_total(row) for row in rows] if isinstance(rows, list) else []
        return tuple(total for total in found if total is not None)


def _total(row: Any) -> int | None:
    """``mem_usage.total_vram``, whose unit "MB" is MiB; None for "N/A"."""
    usage = row.get("mem_usage") if isinstance(row, dict) else None
    leaf = usage.get("total_vram") if isinstance(usage, dict) else None
    value = leaf.get("value") if isinstance(leaf, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        return None
    return int(value)
