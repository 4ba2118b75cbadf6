"""Memory of the host's GPUs, as the driver reports it."""

from __future__ import annotations

import json
from typing import Any

from pyinfra.api import FactBase

AMD_SMI = "/opt/rocm/bin/amd-smi"


class GpuMemory(FactBase[tuple[int, ...]]):
    """MiB of each GPU; empty when nobody can say (no driver yet, no ``amd-smi``)."""

    @staticmethod
    def default() -> tuple[int, ...]:
        """Nobody can say."""
        return ()

    def command(self) -> str:
        """Shell command; a wedged driver hangs ``amd-smi``, so it has a deadline."""
        return (
            f"smi={AMD_SMI}; test -x $smi || smi=$(command -v amd-smi || true); "
            'test -z "$smi" || timeout 20 "$smi" metric --json 2>/dev/null || true'
        )

    def process(self, output: list[str]) -> tuple[int, ...]:
        """Read its JSON; empty when it is none (``amd-smi`` may exit 0 with a complaint)."""
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
