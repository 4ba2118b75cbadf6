"""How long predictions take.

    python tests/performance/prediction.py [--runs 5] [--json]

+ reference: both published scenarios, all points of the sweep, on one core
+ grid: 50 what-if variants of both scenarios, on two cores

Every row is the median of all runs, with the fastest and the slowest; the grid runs once. Ends
with 1 when the grid takes more than two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rocminfra.model_files import load_model
from rocminfra.planning.prediction.grid import Outcome, choices, variant_of
from rocminfra.planning.prediction.predict import Variant
from rocminfra.playbook_files import playbook_root
from rocminfra.runner.verbs.predict_grid import REFERENCE_SCENARIOS, predict_all, scenario

CORES = 2
MOST_GRID_S = 120.0
REFERENCE = {
    "gpu": ["mi300x"],
    "count": 1,
    "replicas": [1],
    "max_num_seqs": [64],
    "max_num_batched_tokens": [8_192],
    "max_pixels": [None],
    "kv_cache_dtype": ["auto"],
}
GRID = {
    **REFERENCE,
    "gpu": ["mi300x", "mi325x"],
    "max_num_seqs": [8, 16, 32, 64, 128],
    "max_num_batched_tokens": [2_048, 4_096, 8_192, 16_384, 32_768],
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:1]))
    reference = [timed(REFERENCE, 1)[0] for _ in range(options.runs)]
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    grid_s, outcomes = timed(GRID, CORES)
    variants = len(outcomes)
    failed = sum(outcome.error is not None for outcome in outcomes)
    if options.json:
        document = {
            "reference_s": statistics.median(reference),
            "grid_s": grid_s,
            "grid_variants": variants,
            "grid_failed": failed,
        }
        print(json.dumps(document, indent=2))
        return int(grid_s > MOST_GRID_S)
    print(f"reference  {statistics.median(reference):.2f} s", end="")
    print(f"  ({min(reference):.2f} to {max(reference):.2f} s, {options.runs} runs, one core)")
    print(f"grid       {grid_s:.1f} s  ({variants} variants, {failed} failed, {CORES} cores)")
    return int(grid_s > MOST_GRID_S)


def timed(options: dict[str, object], jobs: int) -> tuple[float, list[Outcome]]:
    """Seconds, and what was predicted; everything that the verb does is in it but its start."""
    start = time.monotonic()
    base = Variant(load_model())
    found = [scenario(name, playbook_root() / "benchmarks") for name in REFERENCE_SCENARIOS]
    variants = [(choice, variant_of(choice, base)) for choice in choices(options)]
    outcomes = predict_all(variants, found, None, jobs)
    return time.monotonic() - start, outcomes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
