"""Constants of the latency model from what others published, and how far off they are.

    python tests/performance/latency_fit.py [--gpu h100-80] [--rounds 2] [--errors left-out.json]

For each GPU the constants are fitted on all sources that measured it, and once more with one of the
sources left out: its figures are then predicted by constants that never saw it. Both errors are
printed side by side. What is minimized is the mean over the sources of the absolute logarithm of
predicted over measured, so that a source with many runs counts as one. Nothing is written into the
package: the constants in ``latency_constants.py`` are rounded by hand from what this prints, and
``--errors`` writes the left-out errors that the bands are made of.

One constant for each physical effect and GPU is moved; those of the host (sequence, step, client)
are the same for all GPUs and stay as they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import fmean, median

import yaml

from rocminfra.planning.engine.gpus import A100_80, H100_80
from rocminfra.planning.engine.latency_constants import LatencyConstants, constants_of
from rocminfra.planning.model.config import read_model
from rocminfra.planning.model.reference import (
    REFERENCE_CONFIG,
    REFERENCE_NAME,
    REFERENCE_PROCESSOR,
)
from rocminfra.planning.prediction.predict import Variant
from rocminfra.planning.prediction.published import compare, predict_reference
from rocminfra.planning.prediction.published_runs import (
    PublishedRun,
    predicted_figures,
    published_runs,
)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
REFERENCE = "the reference run"
# What is moved, with its bounds, and what it moves for: a model of experts, of 8-bit weights, or
# more than one GPU.
MOVED: dict[str, tuple[float, float, str]] = {
    "bandwidth_fraction": (0.5, 0.95, ""),
    "compute_fraction": (0.2, 0.75, ""),
    "layer_overhead_s": (10e-6, 150e-6, ""),
    "expert_fraction": (0.15, 1.0, "experts"),
    "expert_layer_s": (10e-6, 400e-6, "experts"),
    "fp8_layer_s": (2e-6, 200e-6, "fp8"),
    "fp8_pace": (0.5, 2.0, "fp8"),
    "exchange_s": (3e-6, 60e-6, "exchange"),
}
# The reference run calibrates these of MI300X; the others are fitted beside them.
CALIBRATED = {"mi300x": ("bandwidth_fraction", "compute_fraction", "layer_overhead_s")}
# What stands for them where the reference run is left out: the middle of published GEMM figures,
# the copy-type ceiling measured on a guest, and H100's layer.
UNCALIBRATED: dict[str, float] = {
    "bandwidth_fraction": 0.71,
    "compute_fraction": 0.48,
    "layer_overhead_s": 47e-6,
}
# Whose constants stand for those that no other source of a GPU says anything of.
SIMILAR = {"mi300x": H100_80, "a100-80": H100_80, "h100-80": A100_80}
Errors = dict[str, list[tuple[str, str, float]]]  # by source: run, figure, log(predicted/measured)


def all_runs() -> list[PublishedRun]:
    """Every published run."""
    folder = BENCHMARKS / "published"
    models = yaml.safe_load((folder / "models.yaml").read_text(encoding="utf-8"))
    found: list[PublishedRun] = []
    for file in sorted(folder.glob("*.yaml")):
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        if isinstance(document, dict) and "runs" in document:
            found += published_runs(document, models)
    return found


def errors_of(item: tuple[PublishedRun | None, LatencyConstants]) -> list[tuple[str, str, float]]:
    """Logarithms of predicted over measured, of one run or of the reference run (None)."""
    run, constants = item
    if run is None:
        spec = read_model(REFERENCE_CONFIG, REFERENCE_NAME, processor=REFERENCE_PROCESSOR)
        reference = yaml.safe_load((BENCHMARKS / "reference.yaml").read_text(encoding="utf-8"))
        variant = Variant(spec, given_constants=constants)
        return [
            (REFERENCE, row.name, math.log(row.predicted / row.published))
            for row in compare(predict_reference(variant, reference), reference)
            if row.predicted > 0 and "KV cache" not in row.name
        ]
    predicted = predicted_figures(run, constants)
    return [
        (run.name, name, math.log(value / measured))
        for name, measured in run.figures.items()
        if (value := predicted[name])
    ]


def all_errors(
    runs: Sequence[PublishedRun | None], constants: LatencyConstants, pool: ProcessPoolExecutor
) -> Errors:
    """Errors of all runs, by source."""
    found: Errors = {}
    for run, errors in zip(
        runs, pool.map(errors_of, [(run, constants) for run in runs]), strict=True
    ):
        source = REFERENCE if run is None else run.source
        found.setdefault(source, []).extend(errors)
    return found


def loss(errors: Errors) -> float:
    """What is minimized."""
    return fmean(fmean(abs(error) for _, _, error in one) for one in errors.values())


def moved(runs: Sequence[PublishedRun | None]) -> list[str]:
    """Constants that these runs say something of."""
    kinds = {""}
    for run in runs:
        if run is None:
            continue
        if run.variant.spec.experts is not None:
            kinds.add("experts")
        if run.variant.spec.dtype_bytes == 1:
            kinds.add("fp8")
        if run.variant.tensor_parallel > 1:
            kinds.add("exchange")
    gpus = {run.variant.gpu.key for run in runs if run is not None}
    fixed = {name for gpu in gpus for name in CALIBRATED.get(gpu, ())}
    return [name for name, (_, _, kind) in MOVED.items() if kind in kinds and name not in fixed]


def fit(
    runs: Sequence[PublishedRun | None],
    start: LatencyConstants,
    rounds: int,
    pool: ProcessPoolExecutor,
) -> LatencyConstants:
    """Constants at which the loss is least, one after the other, in ever smaller steps."""
    best, least = start, loss(all_errors(runs, start, pool))
    for number in range(rounds):
        step = 1.25 if number == 0 else 1.1
        for name in moved(runs):
            low, high, _ = MOVED[name]
            for factor in (step, 1 / step):
                while True:
                    value = min(high, max(low, getattr(best, name) * factor))
                    if value == getattr(best, name):
                        break
                    tried = dataclasses.replace(best, **{name: value})
                    found = loss(all_errors(runs, tried, pool))
                    if found >= least - 1e-4:
                        break
                    best, least = tried, found
                    print(f"  {name} {value:.3g}: {least:.3f}", file=sys.stderr, flush=True)
    return best


def summary(errors: Errors) -> str:
    """Median error and share within 20 %."""
    off = [abs(math.exp(error) - 1) for one in errors.values() for _, _, error in one]
    within = sum(one <= 0.2 for one in off) / len(off)
    return f"median {median(off):.0%}, {within:.0%} of {len(off)} within 20 %"


def main() -> None:
    """Fit every GPU, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", action="append")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--errors", type=Path)
    parser.add_argument("--as-is", action="store_true", help="only fit without each source")
    parser.add_argument("--leave-out", help="only the source whose name has this in it")
    parser.add_argument("--no-fit", action="store_true", help="errors of the constants as they are")
    options = parser.parse_args()
    published = all_runs()
    left_out: list[dict[str, object]] = []
    with ProcessPoolExecutor(2) as pool:
        for gpu in options.gpu or sorted({run.variant.gpu.key for run in published}):
            runs: list[PublishedRun | None] = [
                run for run in published if run.variant.gpu.key == gpu
            ]
            start = constants_of(runs[0].variant.gpu).constants if runs[0] is not None else None
            if start is None:
                continue
            if gpu == "mi300x":
                runs.append(None)
            if options.no_fit:
                for source, one in all_errors(runs, start, pool).items():
                    print(f"{gpu} {source}: {summary({source: one})}")
                continue
            fitted = [run for run in runs if run is not None]
            whole = start if options.as_is else fit(fitted, start, options.rounds, pool)
            print(gpu, dataclasses.asdict(whole), flush=True)
            inside = all_errors(runs, whole, pool)
            for source in inside:
                if options.leave_out is not None and options.leave_out not in source:
                    continue
                others = [
                    run for run in runs if (REFERENCE if run is None else run.source) != source
                ]
                own = [run for run in runs if run not in others]
                seen = [run for run in others if run is not None]
                if source == REFERENCE:
                    without = dataclasses.replace(whole, **UNCALIBRATED)
                elif seen:
                    known = {*moved(seen), *CALIBRATED.get(gpu, ())}
                    similar = constants_of(SIMILAR[gpu]).constants
                    unknown = {name: getattr(similar, name) for name in MOVED if name not in known}
                    without = fit(seen, dataclasses.replace(whole, **unknown), 1, pool)
                else:
                    # Without any other source it has constants of a GPU that never saw it.
                    taken = constants_of(runs[0].variant.gpu).taken_from if runs[0] else None
                    kin = [run for run in published if run.variant.gpu.key == taken]
                    without = fit(kin, start, 1, pool) if kin else LatencyConstants()
                outside = all_errors(own, without, pool)
                print(
                    f"{gpu} {source}: in-sample {summary({source: inside[source]})}; "
                    f"left out {summary(outside)}",
                    flush=True,
                )
                for run, error in zip(_per_error(own, outside), outside[source], strict=True):
                    left_out.append(
                        {
                            "gpu": gpu,
                            "source": source,
                            "run": error[0],
                            "figure": error[1],
                            "log_error": round(error[2], 4),
                            "count": 1 if run is None else run.variant.tensor_parallel,
                            "family": "qwen2_vl" if run is None else run.variant.spec.model_type,
                            "experts": run is not None and run.variant.spec.experts is not None,
                            "fp8": run is not None and run.variant.spec.dtype_bytes == 1,
                        }
                    )
    if options.errors is not None:
        options.errors.write_text(json.dumps(left_out, indent=0) + "\n", encoding="utf-8")


def _per_error(own: Sequence[PublishedRun | None], errors: Errors) -> list[PublishedRun | None]:
    by_name = {REFERENCE if run is None else run.name: run for run in own}
    return [by_name[name] for one in errors.values() for name, _, _ in one]


if __name__ == "__main__":
    main()
