"""Whether what engine and GPU said while a point ran is possible: read back from its folder.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rocminfra.host.bench.files import read_lines
from rocminfra.host.bench.telemetry import engine_reasons
from rocminfra.planning.bench.possible import counted

_SAMPLES = ("metrics.jsonl", "telemetry.jsonl")
_PAGES = ("metrics_before.prom", "metrics_after.prom")


def impossible_samples(folder: Path) -> tuple[str, ...]:
    """Why figures that were sampled beside a point cannot be, a reason each; empty when all can.

    + folder: the point's
    """
    return counted(_reasons(folder))


def _reasons(folder: Path) -> Iterator[str]:
    for name in _PAGES:
        path = folder / name
        if path.exists():
            yield from engine_reasons(path.read_text(encoding="utf-8", errors="replace"))
    for name in _SAMPLES:
        samples, damaged = read_lines(folder / name)
        for sample in samples:
            yield from sample.get("impossible", ())
        if damaged:
            yield f"{name} has {damaged} lines that cannot be read: something cut it off"
