"""How far a running point is, out of the files that it writes.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rocminfra.planning.bench.live import (
    RATE_WINDOW_S,
    engine_figures,
    expected_point_s,
    expected_run_s,
)
from rocminfra.planning.bench.progress import Live, Progress

METRICS = "metrics.jsonl"
# Samples come once a second, and a line has a few hundred bytes.
_TAIL_BYTES = int(RATE_WINDOW_S) * 2048


def live(
    folder: Path,
    progress: Progress,
    max_seconds: float,
    now: float,
    whole_s: float | None = None,
) -> Live | None:
    """How far the run is, or None between two points.

    + folder: the run's folder
    + progress: what ``status.json`` says
    + max_seconds: length of a point's load
    + now: Unix time, seconds
    + whole_s: length of the load when one process runs a whole stage, else None
    """
    if progress.current is None or progress.point is None or progress.point_started is None:
        return None
    walls = [point.wall_seconds for point in progress.points if not point.kept]
    kept = len(progress.points) - len(walls)
    started = progress.started or progress.point_started
    expected = expected_point_s(*((max_seconds, walls) if whole_s is None else (whole_s, ())))
    return Live(
        label=progress.current,
        number=len(progress.points) + 1,
        planned=progress.planned,
        point_s=round(max(0.0, now - progress.point_started), 1),
        point_expected_s=round(expected, 1),
        run_s=round(max(0.0, now - started), 1),
        run_expected_s=round(expected_run_s(progress.planned - kept, max_seconds, walls), 1),
        **engine_figures(samples(folder / progress.point / METRICS)),
    )


def samples(path: Path) -> list[dict[str, Any]]:
    """The first sample of a file, and those of its last seconds; a line that is cut is left out."""
    try:
        with path.open("rb") as file:
            lines = [file.readline()]
            end = file.seek(0, 2)
            if end > len(lines[0]) + _TAIL_BYTES:
                file.seek(end - _TAIL_BYTES)
                file.readline()
            else:
                file.seek(len(lines[0]))
            lines += file.readlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            sample = json.loads(line)
        except ValueError:
            continue
        if isinstance(sample, dict):
            found.append(sample)
    return found
