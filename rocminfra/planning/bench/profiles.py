"""GuideLLM's load profile for a point, or for a stage that runs in one process.

Written for GuideLLM 0.8.1 (schemas/benchmark/profiles). Standard library only: this module also
runs on the host.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from rocminfra.planning.bench.points import Point, Stage, planned_names

# The trace of a point with bursts, in its folder.
TRACE = "bursts.jsonl"
# Between two benchmarks of one process: GuideLLM compiles the one and starts workers for the other.
# Measured on two busy cores: 8 to 17 s.
BETWEEN_S = 30.0
# A search that nobody limits otherwise (goodput.py in 0.8.1).
_MOST_PROBES = 15
# From the end of a point to the request that keeps its trace from ending.
_NEVER_SENT_S = 600.0


def profile(point: Point, stages: Sequence[Stage]) -> dict[str, Any]:
    """The profile, without its warm-up.

    + point: the point, or the process of a whole stage
    + stages: the scenario's load profiles
    """
    if point.stage is not None:
        return _whole(stages[point.stage - 1])
    if point.kind == "bursts":
        # Of single requests a gap and a time are the same; this one says what is meant.
        return {"kind": "replay", "schedule_turn": "timestamp"}
    values: dict[str, Any] = {"kind": point.kind}
    if point.streams is not None:
        values["streams"] = [point.streams]
    if point.rate is not None:
        values["rate"] = [point.rate]
    if point.max_concurrency is not None:
        values["max_concurrency"] = point.max_concurrency
    if point.ramp_seconds:
        values["rampup_duration"] = point.ramp_seconds
    return values


def whole_stage(name: str, stages: Sequence[Stage]) -> Point | None:
    """The process of that name if it runs a whole stage, else None.

    + name: of a process, such as ``01-sweep``
    + stages: the scenario's load profiles
    """
    for number, stage in enumerate(stages, start=1):
        own = f"{number:02d}-{stage.kind}"
        if stage.in_one_process and (name == own or name.startswith(f"{own}-again-")):
            return Point(name=name, kind=stage.kind, stage=number)
    return None


def load_seconds(point: Point, stages: Sequence[Stage], max_seconds: float) -> float:
    """Longest duration of a process's load, in seconds.

    + point: the point, or the process of a whole stage
    + stages: the scenario's load profiles
    + max_seconds: length of one point
    """
    if point.stage is None:
        return max_seconds
    stage = stages[point.stage - 1]
    count = most_points(stage)
    return count * max_seconds + (count - 1) * BETWEEN_S


def most_points(stage: Stage) -> int:
    """Most points that a stage can have, each measured once."""
    if stage.kind == "goodput":
        return int(stage.options.get("max_probes", _MOST_PROBES))
    if stage.kind == "knee" and stage.options.get("adaptive"):
        # One more pass around the first estimate (knee.py in 0.8.1: 5 points on each side, and it).
        each = int(stage.options.get("points_each_side", 5))
        return len(stage.streams) + 2 * each + 1
    return len(planned_names([stage])) // stage.repeat


def trace(point: Point, data: Mapping[str, Any], max_seconds: float, seed: int) -> str | None:
    """The trace of a point with bursts as JSON lines; None for any other point.

    + point: the point
    + data: the scenario's data, of kind ``synthetic_text``
    + max_seconds: length of the point
    + seed: of the lengths, where they differ

    A replay ends with its last request: of bursts every ten seconds, the ten seconds after the last
    one would be missing, and all rates be too high. So there is one more request, far behind the
    point's end, which is never sent.
    """
    if point.burst_requests is None or not point.every_seconds:
        return None
    drawn = random.Random(seed)
    # A trace has no shared beginnings: all of a prompt is its own.
    shared = sum(bucket["prefix_tokens"] for bucket in data.get("prefix_buckets", ()))
    times = [
        burst * point.every_seconds
        for burst in range(math.ceil(max_seconds / point.every_seconds))
        for _ in range(point.burst_requests)
    ]
    lines = []
    for time in (*times, max_seconds + _NEVER_SENT_S):
        row = {
            "timestamp": round(time, 3),
            "input_length": shared + _length(data, "prompt_tokens", drawn),
            "output_length": _length(data, "output_tokens", drawn),
        }
        lines.append(json.dumps(row))
    return "\n".join(lines) + "\n"


def _length(data: Mapping[str, Any], name: str, drawn: random.Random) -> int:
    """As GuideLLM draws them for synthetic text (utils/random.py in 0.8.1)."""
    mean, spread = int(data[name]), int(data.get(f"{name}_stdev") or 0)
    if not spread:
        return mean
    low, high = max(1, mean - 5 * spread), mean + 5 * spread
    return round(max(low, min(high, drawn.gauss(mean, spread))))


def _whole(stage: Stage) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": stage.kind, **stage.options}
    if stage.kind == "sweep":
        values["sweep_size"] = stage.size
        values["max_concurrency"] = stage.max_concurrency
    elif stage.kind == "knee":
        values["initial_streams"] = list(stage.streams)
    elif stage.kind == "concurrent":
        values["streams"] = list(stage.streams)
    elif stage.kind in ("constant", "poisson"):
        values["rate"] = list(stage.rates)
        values["max_concurrency"] = stage.max_concurrency
    elif stage.kind == "throughput":
        values["max_concurrency"] = stage.max_concurrency
    if stage.ramp_seconds:
        values["rampup_duration"] = stage.ramp_seconds
    return values
