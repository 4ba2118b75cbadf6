"""Whether a point's figures fit everything else that was seen while it ran.

Standard library only: this file is copied to the host as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rocminfra.host.bench.attempt import Attempt
from rocminfra.host.bench.files import read_lines
from rocminfra.host.bench.telemetry import METRICS
from rocminfra.planning.bench import validity
from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.outcome_records import PointRecord
from rocminfra.planning.bench.requests import Request


def check(
    job: JobRecord,
    folder: Path,
    attempt: Attempt,
    found: Sequence[Request],
    itl_ms: float | None,
    so_far: Sequence[PointRecord],
    gpus: Sequence[str | None],
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What to keep of the engine for the record, and why the point does not count.

    + job: what was asked for
    + folder: the point's folder
    + attempt: the attempt that is judged
    + found: all of its requests
    + itl_ms: its median time between tokens
    + so_far: records of the run's other points
    + gpus: what each of the engine's GPUs calls itself
    """
    before, after = attempt.before, attempt.after
    counted = rise(attempt)
    known: dict[str, Any] = {
        "counted": counted,
        "unchecked": list(validity.unchecked(counted, found)),
        "configuration": _configuration(folder / "metrics_after.prom"),
        "itl_floor_ms": validity.floor_ms(job.step_bytes, gpus, job.gpu_bandwidths or {}),
    }
    cut_off = sum(one.outcome != "completed" for one in found)
    reasons: list[str] = []
    if counted is not None and any(value < 0 for value in counted.values()):
        reasons.append("the engine's counters went back: it was restarted while the point ran")
    elif counted is not None:
        if itl_ms is not None or any(one.outcome == "completed" for one in found):
            reasons += _silent(counted)
        reasons += validity.engine_doubts(counted, found)
    if found:
        reasons += validity.stranger_doubts(before, after, cut_off)
        reasons += validity.silence_doubts(found)
    reasons += validity.floor_doubts(itl_ms, known["itl_floor_ms"])
    reasons += validity.clock_doubts(list(_clocks(folder / METRICS)))
    reasons += validity.offset_doubts(attempt.record.load_generator)
    began = _configuration(folder / "metrics_before.prom")
    now = known["configuration"]
    reasons += validity.configuration_doubts(began, now, "while the point ran")
    first = next((one for one in so_far if one.engine.get("configuration")), None)
    if first is not None:
        earlier = first.engine["configuration"]
        reasons += validity.configuration_doubts(earlier, now, f"since {first.label}")
    return known, tuple(reasons)


def rise(attempt: Attempt) -> dict[str, float] | None:
    """By how much the engine's counters rose in an attempt; None when they could not be read."""
    before, after = attempt.before, attempt.after
    if not before or not after:
        return None
    names = ("requests", "prompt_tokens", "generation_tokens", "preemptions")
    return {name: after[name] - before[name] for name in names if name in before and name in after}


def _silent(counted: dict[str, float]) -> list[str]:
    if counted.get("generation_tokens") != 0:
        return []
    return ["the engine counted no token: something else answered the requests"]


def _configuration(path: Path) -> dict[str, str]:
    try:
        return validity.configuration(path.read_text(encoding="utf-8"))
    except OSError:
        return {}


def _clocks(path: Path) -> Iterator[tuple[float, float]]:
    """Wall and monotonic clock of each sample."""
    for sample in read_lines(path)[0]:
        if "monotonic" in sample and "time" in sample:
            yield sample["time"], sample["monotonic"]
