"""GPUs of the host and their memory, as the driver reports them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocminfra.facts.host_fact import HostFact
from rocminfra.host.programs import call
from rocminfra.planning.gpus import amd_smi_output
from rocminfra.planning.gpus.gpu_selection import Gpu, Selection, memory_mib, select

# A thousand times the largest GPU; what is not finite is not an amount either.
_MOST_MIB = 10**9

__all__ = ["Gpu", "GpuMemory", "GpuReport", "Gpus"]


@dataclass(frozen=True)
class GpuReport:
    """What a host says of its GPUs.

    + gpus: every device that has a render node, usable or not
    + amd_smi_mib: MiB of each row of ``amd-smi``, None where it says "N/A"; asked only where sysfs
      does not give the memory of every GPU; None when it was not asked
    """

    gpus: tuple[Gpu, ...] = ()
    amd_smi_mib: tuple[int | None, ...] | None = None

    @property
    def selection(self) -> Selection:
        """Which of them an engine may use."""
        return select(self.gpus)

    @property
    def memory_mib(self) -> tuple[int, ...]:
        """MiB of each GPU that an engine may use as ROCm counts them, partitions one by one; empty
        when unknown."""
        return memory_mib(self.gpus, self.amd_smi_mib)


class Gpus(HostFact[GpuReport]):
    """The GPUs of the host; an empty report when nobody can say (no driver, no ``amd-smi``)."""

    @staticmethod
    def default() -> GpuReport:
        """Nobody can say."""
        return GpuReport()

    def command(self) -> str:
        """Shell command; a host without Python is one that cannot say."""
        return f"{call('gpu_probe')} || true"

    def process(self, output: list[str]) -> GpuReport:
        """The report that the host program printed; an empty one when it printed something else."""
        try:
            document = json.loads(output[-1])
            gpus, amd_smi = document["gpus"], document["amd_smi"]
        except (ValueError, TypeError, KeyError, IndexError):
            return GpuReport()
        return GpuReport(tuple(map(_gpu, gpus)), _amd_smi_mib(amd_smi))


class GpuMemory(HostFact[tuple[int, ...]]):
    """MiB of each GPU that an engine may use as ROCm counts them; empty when nobody can say."""

    @staticmethod
    def default() -> tuple[int, ...]:
        """Nobody can say."""
        return ()

    def command(self) -> str:
        """The same command as :class:`Gpus`, so a batch sends it once."""
        return Gpus().command()

    def process(self, output: list[str]) -> tuple[int, ...]:
        """Memory of the report."""
        return Gpus().process(output).memory_mib


def _gpu(seen: Mapping[str, Any]) -> Gpu:
    total = _text(seen["mem_info_vram_total"])
    return Gpu(
        node=seen["node"],
        path=seen["path"],
        driver=seen["driver"],
        vendor=_text(seen["vendor"]),
        device=_text(seen["device"]),
        vram_bytes=int(total) if total and total.isdecimal() else None,
        compute_partition=_text(seen["current_compute_partition"]),
        memory_partition=_text(seen["current_memory_partition"]),
    )


def _text(file: Mapping[str, str] | None) -> str | None:
    """Text of a file, empty when it could not be read; None when there is none."""
    return None if file is None else file.get("text", "")


def _amd_smi_mib(run: Any) -> tuple[int | None, ...] | None:
    """MiB of each row of ``amd-smi``; empty when it did not run or made no sense.

    Judged by what it printed: it may exit with 0 and a complaint.
    """
    if run is None:
        return None
    try:
        return tuple(map(_total, amd_smi_output.read(run["out"])))
    except ValueError:
        return ()


def _total(row: Mapping[str, Any]) -> int | None:
    """``mem_usage.total_vram``; None for "N/A"."""
    value = amd_smi_output.figure(row, ("mem_usage", "total_vram"), amd_smi_output.MIB)
    return int(value) if value is not None and 0 < value < _MOST_MIB else None
