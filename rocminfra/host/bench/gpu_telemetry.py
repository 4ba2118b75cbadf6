"""What the engine's GPUs do while a benchmark point runs, a line a second.

The driver's files come first. ``amd-smi`` takes 40 to 60 ms of a core a call, so it is called for
nothing but what they lack: every 2 s for power, memory or activity, and every 30 s for the energy
counter, which no file has.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rocminfra.host.bench import amd_smi, driver_files, telemetry
from rocminfra.planning.bench.possible import gpu_problems

TELEMETRY = "telemetry.jsonl"
PERIOD_S = 1.0
AMD_SMI_PERIOD_S = 2.0
ENERGY_PERIOD_S = 30.0
# After a call that failed or hung.
AMD_SMI_PAUSE_S = 60.0

FIGURES = (
    *("gfx_activity_percent", "umc_activity_percent", "power_w", "vram_used_mib"),
    *("vram_total_mib", "temperature_hotspot_c", "temperature_mem_c", "energy_j"),
)
# Without one of these a point's line is not worth much.
_NEEDED = ("power_w", "vram_used_mib", "gfx_activity_percent")


class GpuReader:
    """Makes the samples of one attempt.

    + environment: the engine's
    + clock: monotonic seconds
    """

    def __init__(
        self, environment: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._cards = driver_files.cards(environment)
        self._ask_at = clock()
        self._why: str | None = None
        lacking = {name for name in _NEEDED for card in self._cards if name not in card.files}
        needs_all = bool(lacking) or not self._cards
        has_energy = bool(self._cards) and all("energy_j" in card.files for card in self._cards)
        self._period_s: float | None = ENERGY_PERIOD_S
        if needs_all:
            self._period_s = AMD_SMI_PERIOD_S
        elif has_energy:
            self._period_s = None
        self._from: dict[str, str] = {}

    @property
    def sources(self) -> dict[str, str | None]:
        """Where each figure came from: ``driver``, ``amd-smi``, or None for nowhere."""
        return {name: self._from.get(name) for name in FIGURES}

    def sample(self, is_last: bool = False) -> dict[str, Any] | None:
        """One sample, as a line of ``telemetry.jsonl`` has it; None when there is nothing new.

        + is_last: whether no other follows; the energy counter is then read once more

        Figures that ``amd-smi`` was not asked for this time are None. Raises OSError or ValueError
        when neither says anything.
        """
        rows: dict[int, dict[str, Any]] = {
            card.number: {"gpu": card.number, **dict.fromkeys(FIGURES), **driver_files.read(card)}
            for card in self._cards
        }
        self._note(rows, "driver")
        reasons: list[str] = []
        is_asked = self._is_asked(is_last)
        if not rows and not is_asked:
            return None
        if is_asked:
            try:
                asked = amd_smi.gpus_of_engine()
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                self._ask_at = self._clock() + AMD_SMI_PAUSE_S
                self._why = f"{type(error).__name__}: {error}"
            else:
                self._why = None
                self._ask_at = self._clock() + (self._period_s or 0.0)
                reasons += _merge(rows, asked)
                self._note(rows, "amd-smi")
        if not rows:
            raise OSError(self._why or "no GPU in sysfs")
        gpus = list(rows.values())
        reasons += [reason for gpu in gpus for reason in gpu_problems(gpu)]
        unknown = {} if self._why is None else {"amd_smi": self._why}
        return {
            "gpus": [amd_smi.possible(gpu) for gpu in gpus],
            **unknown,
            **telemetry.impossible(list(dict.fromkeys(reasons))),
        }

    def _is_asked(self, is_last: bool) -> bool:
        if self._period_s is None or (is_last and self._why is not None):
            return False
        return is_last or self._clock() >= self._ask_at

    def _note(self, rows: Mapping[int, Mapping[str, Any]], source: str) -> None:
        for row in rows.values():
            for name in FIGURES:
                if row.get(name) is not None:
                    self._from.setdefault(name, source)


def gpu_sampler(path: Path, period_s: float = PERIOD_S) -> telemetry.Sampler:
    """Sampler of the engine's GPUs.

    + path: file of the lines
    + period_s: seconds between two of them
    """
    made: list[GpuReader] = []

    def sample() -> dict[str, Any] | None:
        # In the sampler's thread: looking for the files takes time that a point need not wait for.
        if not made:
            made.append(GpuReader(amd_smi.engine_environment()))
        return made[0].sample()

    def last() -> dict[str, Any] | None:
        return made[0].sample(is_last=True) if made else None

    return telemetry.Sampler(
        path, sample, period_s, last=last, sources=lambda: made[0].sources if made else {}
    )


def _merge(rows: dict[int, dict[str, Any]], asked: list[dict[str, Any]]) -> list[str]:
    """Fill what the driver's files lack with what ``amd-smi`` says; reasons of what cannot be."""
    reasons: list[str] = []
    # Both list the engine's GPUs in the order of the bus; their numbers need not be the same.
    owners = list(rows.values())
    for position, gpu in enumerate(asked):
        reasons += gpu_problems(gpu)
        if not owners:
            rows[len(rows)] = gpu
        elif len(owners) == len(asked):
            row = owners[position]
            row.update({name: gpu.get(name) for name in FIGURES if row.get(name) is None})
    return reasons
