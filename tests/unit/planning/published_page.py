"""Published runs and start-up logs as lines of docs/planning.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from rocminfra.planning.capacity.capacity import capacity
from rocminfra.planning.engine.gpus import GPUS
from rocminfra.planning.prediction.bands import KINDS
from rocminfra.planning.prediction.left_out_errors import LEFT_OUT
from rocminfra.planning.prediction.published_runs import (
    PublishedRun,
    published_runs,
    serving_of,
    spec_of,
)

PUBLISHED = Path(__file__).parents[3] / "benchmarks" / "published"
NAMES = {
    "duration_s": ("duration", "s"),
    "requests_per_s": ("requests", "/s"),
    "output_tokens_per_s": ("output", "tok/s"),
    "total_tokens_per_s": ("total", "tok/s"),
    "ttft_mean_ms": ("TTFT mean", "ms"),
    "ttft_median_ms": ("TTFT median", "ms"),
    "tpot_mean_ms": ("TPOT mean", "ms"),
    "itl_median_ms": ("ITL median", "ms"),
    "latency_mean_ms": ("latency mean", "ms"),
    "latency_p99_ms": ("latency p99", "ms"),
}


def runs_by_file() -> list[tuple[dict[str, Any], list[PublishedRun]]]:
    """Every file of runs: the document, and its runs."""
    models = yaml.safe_load((PUBLISHED / "models.yaml").read_text(encoding="utf-8"))
    found: list[tuple[dict[str, Any], list[PublishedRun]]] = []
    for file in sorted(PUBLISHED.glob("*.yaml")):
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        if isinstance(document, dict) and "runs" in document:
            found.append((document, published_runs(document, models)))
    return found


def summary(errors: Iterable[float]) -> str:
    """Median error and share within 20 %, of logarithms of predicted over measured."""
    off = [abs(math.exp(error) - 1) for error in errors]
    within = sum(one <= 0.2 for one in off) / len(off)
    return f"median error {median(off):.0%}, {within:.0%} of {len(off)} figures within 20 %"


def left_out_lines(inside: Mapping[tuple[str, str, str], list[float]] | None = None) -> list[str]:
    """Errors of constants in use and of those that never saw a source, side by side.

    + inside: the former by GPU, source and kind of figure; None leaves their cells empty
    """
    outside: dict[tuple[str, str, str], list[float]] = {}
    for row in LEFT_OUT:
        outside.setdefault((row.gpu, row.source, row.kind), []).extend(row.errors)
    both = (inside or {}, outside)
    lines = ["| GPU | source | in-sample | left out |", "|---|---|---|---|"]
    for gpu, source in sorted({(row.gpu, row.source) for row in LEFT_OUT}):
        lines.append(_two(gpu, source, *(_of(errors, (gpu, source)) for errors in both)))
    for kind in KINDS:
        lines.append(_two("all", kind, *(_of(errors, (kind,)) for errors in both)))
    return [*lines, _two("all", "all", *(_of(errors, ()) for errors in both))]


def _of(errors: Mapping[tuple[str, str, str], list[float]], parts: tuple[str, ...]) -> list[float]:
    return [one for key, some in errors.items() if set(parts) <= set(key) for one in some]


def _two(gpu: str, source: str, inside: list[float], outside: list[float]) -> str:
    return f"| {gpu} | {source} | {summary(inside) if inside else ''} | {summary(outside)} |"


def run_line(run: PublishedRun, predicted: dict[str, float | None]) -> str:
    """One run as a line of the table."""
    cells = "; ".join(
        f"{NAMES[name][0]} {number(measured)} → {number(value)} {NAMES[name][1]} "
        f"({value / measured - 1:+.0%})"
        for name, measured in run.figures.items()
        if (value := predicted[name])
    )
    variant = run.variant
    where = f"{variant.tensor_parallel} × {variant.gpu.key}"
    return f"| {run.name} | {where} | {cells} |"


def number(value: float) -> str:
    """Three digits, as far as the comparison needs them."""
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{min(digits, 2)}f}"


def capacity_lines() -> list[str]:
    """Start-up logs against capacity."""
    models = yaml.safe_load((PUBLISHED / "models.yaml").read_text(encoding="utf-8"))
    lines = [
        "**KV cache at start-up**, tokens",
        "",
        "| run | GPUs | engine | the engine's | worst case | expected |",
        "|---|---|---|---|---|---|",
    ]
    for source in yaml.safe_load((PUBLISHED / "capacity.yaml").read_text(encoding="utf-8")):
        for given in source["runs"]:
            run = {**source["defaults"], **given}
            gpu = GPUS[run["gpu"]]
            planned = capacity(
                spec_of(run, models[run["model"]]), gpu, serving_of(run), run["count"]
            )
            had, worst = run["kv_cache_tokens"], planned.kv_cache_tokens
            likely = planned.kv_cache_tokens_expected
            lines.append(
                f"| {run['id']} | {run['count']} × {gpu.key} | {source['engine']} | {had:,} | "
                f"{worst:,} ({worst / had - 1:+.0%}) | {likely:,} ({likely / had - 1:+.1%}) |"
            )
    return lines
