"""Published against predicted, as ``docs/planning.md`` shows it.

    python tests/performance/published_table.py            # prints the tables
    python tests/performance/published_table.py --write    # puts them into docs/planning.md

A run is a line: what it measured before the arrow, behind it what today's constants predict.
``tests/unit/planning/test_planning_page.py`` holds the page against the runs that take no time.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from rocminfra.planning.capacity import capacity
from rocminfra.planning.gpus import GPUS
from rocminfra.planning.published_runs import (
    PublishedRun,
    predicted_figures,
    published_runs,
    serving_of,
    spec_of,
)

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "benchmarks" / "published"
PAGE = ROOT / "docs" / "planning.md"
BEGIN, END = "<!-- published: begin -->\n", "<!-- published: end -->\n"
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


def summary(errors: Iterable[float]) -> str:
    """Median error and share within 20 %, of logarithms."""
    off = [abs(math.exp(error) - 1) for error in errors]
    within = sum(one <= 0.2 for one in off) / len(off)
    return f"median error {median(off):.0%}, {within:.0%} of {len(off)} figures within 20 %"


def tables() -> str:
    """All sources, one after the other, and start-up logs."""
    lines: list[str] = []
    every: list[float] = []
    with ProcessPoolExecutor(2) as pool:
        for document, runs in runs_by_file():
            found = list(pool.map(predicted_figures, runs))
            errors = [
                math.log(value / run.figures[name])
                for run, predicted in zip(runs, found, strict=True)
                for name, value in predicted.items()
                if value
            ]
            every += errors
            lines += [
                f"**{document['source']}**, {document['date']}, {document['engine']}: "
                f"{summary(errors)}",
                "",
                "| run | GPUs | published → predicted |",
                "|---|---|---|",
                *(run_line(run, predicted) for run, predicted in zip(runs, found, strict=True)),
                "",
            ]
    return "\n".join([f"All of them: {summary(every)}.", "", *lines, *capacity_lines()]) + "\n"


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


def main(arguments: list[str]) -> int:
    """Print, or write into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    text = tables()
    if not options.write:
        print(text)
        return 0
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + text + END + after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
