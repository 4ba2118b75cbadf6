"""How far a running benchmark is, and how long it may still take.

Standard library only: this module also runs on the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rocminfra.planning.bench.progress import Live

# What a point takes on top of its load until a point of this run has shown it: GuideLLM's imports,
# workers and report took 12 to 20 s on two cores.
OVERHEAD_S = 16.0
# Rates are those of the last so many seconds.
RATE_WINDOW_S = 10.0


def expected_point_s(max_seconds: float, walls: Sequence[float]) -> float:
    """How long a point will take, in seconds.

    + max_seconds: length of its load
    + walls: how long this run's points took
    """
    if not walls:
        return max_seconds + OVERHEAD_S
    return sum(walls) / len(walls)


def expected_run_s(planned: int, max_seconds: float, walls: Sequence[float]) -> float:
    """How long the whole run will take, in seconds; parameters as above.

    + planned: points that it has
    """
    left = max(planned - len(walls), 0)
    return sum(walls) + left * expected_point_s(max_seconds, walls)


def engine_figures(samples: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Requests, tokens a second and load of a point that runs.

    + samples: of ``metrics.jsonl``: the first one and the latest, in order of time

    None for what the engine does not say.
    """
    whole = [
        (sample["time"], sample["engine"])
        for sample in samples
        if isinstance(sample.get("engine"), Mapping)
        and isinstance(sample.get("time"), (int, float))
    ]
    figures: dict[str, float | None] = dict.fromkeys(
        ("requests", "tokens_per_second", "kv_cache_usage", "running", "waiting")
    )
    if not whole:
        return figures
    now, last = whole[-1]
    for name in ("kv_cache_usage", "running", "waiting"):
        figures[name] = last.get(name)
    first = whole[0][1]
    if "requests" in first and "requests" in last:
        figures["requests"] = max(0.0, last["requests"] - first["requests"])
    recent = [(when, engine) for when, engine in whole if when >= now - RATE_WINDOW_S]
    since, before = recent[0]
    if now > since:
        names = [name for name in ("prompt_tokens", "generation_tokens") if name in last]
        if names and all(name in before for name in names):
            tokens = sum(last[name] - before[name] for name in names)
            figures["tokens_per_second"] = max(0.0, tokens / (now - since))
    return figures


def words(live: Live) -> str:
    """One line, such as ``point 3 of 10, concurrent@64: 45 s of about 130 s; run …``."""
    parts = [
        f"point {live.number} of {live.planned}, {live.label}: "
        f"{_seconds(live.point_s)} of about {_seconds(live.point_expected_s)}",
        f"run: {_seconds(live.run_s)} of about {_seconds(live.run_expected_s)}",
    ]
    load = [
        (live.requests, "{:,.0f} requests"),
        (live.tokens_per_second, "{:,.0f} tokens/s"),
        (None if live.kv_cache_usage is None else 100 * live.kv_cache_usage, "KV {:.0f} %"),
        (live.running, "{:.0f} running"),
        (live.waiting, "{:.0f} waiting"),
    ]
    known = [form.format(value) for value, form in load if value is not None]
    if known:
        parts.append(", ".join(known))
    return "; ".join(parts)


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
