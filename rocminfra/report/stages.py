"""What a run's stages say beyond their points: what a search found, and how much repeats differ."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rocminfra.planning.bench.outcome_records import STAGE, PointRecord
from rocminfra.planning.bench.records import read


def conclusions(host: Path) -> list[str]:
    """A line for each search of a host's run; empty when it had none.

    + host: the host's folder in the run
    """
    found = []
    for path in sorted(host.glob(f"*/{STAGE}")):
        try:
            record = read(PointRecord, json.loads(path.read_text(encoding="utf-8")), path.name)
        except (OSError, ValueError):
            continue
        if record.conclusion is not None:
            found.append(f"{record.label}: {_conclusion(record)}")
    return found


def noise(points: Sequence[PointRecord]) -> list[str]:
    """A line for each load that was measured more than once: how far its throughputs are apart.

    + points: a host's points
    """
    # Two rates can have the same label, rounded as it is.
    rates: dict[tuple[str, float | None], list[float]] = defaultdict(list)
    for point in points:
        rate = (point.figures or {}).get("tokens_per_second_completed")
        if point.outcome == "valid" and rate:
            load = point.label.partition(" #")[0], point.point.rate
            rates[load].append(float(rate))
    return [
        f"{label}: {len(found)} measurements, {min(found):,.0f} to {max(found):,.0f} tok/s done "
        f"(± {(max(found) - min(found)) / (max(found) + min(found)):.1%})"
        for (label, _), found in rates.items()
        if len(found) > 1
    ]


def objectives(points: Sequence[PointRecord], slo: Mapping[str, Any] | None) -> list[str]:
    """A line for each valid point of a scenario with objectives: how many requests meet them.

    + points: a host's points
    + slo: the scenario's objectives, in milliseconds
    """
    wanted = {key: value for key, value in (slo or {}).items() if _is_number(value)}
    if not wanted:
        return []
    limits = ", ".join(f"{_OBJECTIVES.get(key, key)} {value:g} ms" for key, value in wanted.items())
    found = []
    for point in points:
        figures = point.figures or {}
        share, rate = figures.get("slo_attainment"), figures.get("goodput_requests_per_second")
        if point.outcome == "valid" and _is_number(share):
            a_second = f", {rate:,.2f} a second" if _is_number(rate) else ""
            found.append(
                f"{point.label}: {share:.1%} of completed and failed requests meet {limits}"
                f"{a_second}"
            )
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


_OBJECTIVES = {"ttft_ms": "TTFT", "tpot_ms": "TPOT", "e2el_ms": "end to end"}


def _conclusion(record: PointRecord) -> str:
    values = record.conclusion or {}
    if record.point.kind == "goodput":
        best, reason = values.get("best_passing_streams"), values.get("stop_reason", "unknown")
        reason = str(reason).replace("_", " ")
        if best is None:
            return f"no number of streams meets the objectives ({reason})"
        many = "1 stream meets" if best == 1 else f"{best} streams meet"
        return f"{many} the objectives ({reason})"
    final = values.get("final")
    throughput = final.get("throughput") if isinstance(final, Mapping) else None
    found = throughput if isinstance(throughput, Mapping) else {}
    knee, reason = found.get("knee"), found.get("reason", "unknown")
    if not isinstance(knee, int | float):
        return f"no knee was found ({reason})"
    return f"throughput grows no further from about {knee:.0f} streams on"
