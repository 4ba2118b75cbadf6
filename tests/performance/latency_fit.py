"""Constants of the latency model from what others published, and how far off they are.

    python tests/performance/latency_fit.py [--gpu h100-80] [--errors left-out.json]

For each chip the constants are fitted on all sources that measured it, and once more with one of
the sources left out: its figures are then predicted by constants that never saw it. Both errors are
printed side by side. What is minimized is the mean over the sources of the absolute logarithm of
predicted over measured, so that a source with many runs counts as one. Nothing is written into the
package: the constants in ``latency_constants.py`` are rounded by hand from what this prints, and
``--errors`` writes the left-out errors that the bands are made of.

One constant for each physical effect and chip is moved; those of the host (sequence, step, client)
are the same for all GPUs and stay as they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import fmean, median

import yaml
from retimed import Recorded, recorded, retimed

from rocminfra.planning.engine.gpus import A100_80, GPUS, H100_80
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
# What is moved, with its bounds, and what it moves for: AMD's GPUs, a model of experts, of 8-bit
# weights, or more than one GPU.
MOVED: dict[str, tuple[float, float, str]] = {
    "bandwidth_fraction": (0.5, 0.95, ""),
    "compute_fraction": (0.2, 0.75, ""),
    "attention_fraction": (0.2, 0.7, ""),
    "mixed_kv_pace": (0.1, 1.0, ""),
    "layer_overhead_s": (10e-6, 150e-6, ""),
    "batch_layer_s": (1e-6, 100e-6, "batch"),
    "expert_fraction": (0.05, 1.0, "experts"),
    "expert_read_pace": (0.1, 1.0, "experts"),
    "expert_layer_s": (3e-6, 400e-6, "experts"),
    "fp8_layer_s": (2e-6, 100e-6, "fp8"),
    "fp8_pace": (0.5, 2.0, "fp8"),
    "exchange_s": (3e-6, 20e-6, "exchange"),
}
# Where fits begin: what one would take who has seen none of the runs.
NEUTRAL: dict[str, float] = {
    "bandwidth_fraction": 0.8,
    "compute_fraction": 0.5,
    "attention_fraction": 0.4,
    "mixed_kv_pace": 1.0,
    "layer_overhead_s": 50e-6,
    "batch_layer_s": 20e-6,
    "expert_fraction": 0.4,
    "expert_read_pace": 1.0,
    "expert_layer_s": 30e-6,
    "fp8_layer_s": 20e-6,
    "fp8_pace": 1.0,
    "exchange_s": 9e-6,
}
# What a constant costs that moves away from there, by its logarithm: without it, a handful of
# figures sends one to its bound that they say next to nothing of.
PRIOR = 0.005
# The reference run calibrates these of MI300X; the others are fitted beside them.
CALIBRATED = {
    "mi300x": (
        "bandwidth_fraction",
        "compute_fraction",
        "layer_overhead_s",
        "attention_fraction",
        "mixed_kv_pace",
    )
}
# What stands for them where the reference run is left out: the middle of published GEMM figures,
# the copy-type ceiling measured on a guest, and H100's layer.
UNCALIBRATED: dict[str, float] = {
    "bandwidth_fraction": 0.71,
    "compute_fraction": 0.48,
    "layer_overhead_s": 47e-6,
}
# GPUs of one chip and different memory share their constants, and are fitted together.
CHIPS = {"mi300x": ("mi300x", "mi325x"), "h100-80": ("h100-80", "h200"), "a100-80": ("a100-80",)}
# Whose constants stand for those that no other source of a chip says anything of.
SIMILAR = {"mi300x": H100_80, "a100-80": H100_80, "h100-80": A100_80}
# But not these: an A100 has no matrix units for 8 bits, and unpacks such weights to 16.
NOT_SIMILAR: dict[str, tuple[str, ...]] = {
    "mi300x": (),
    "a100-80": ("fp8_pace",),
    "h100-80": ("fp8_pace",),
}
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
    """Errors of all runs, by source, each predicted in full."""
    found: Errors = {}
    for run, errors in zip(
        runs, pool.map(errors_of, [(run, constants) for run in runs]), strict=True
    ):
        source = REFERENCE if run is None else run.source
        found.setdefault(source, []).extend(errors)
    return found


def retimed_errors(runs: Sequence[Recorded], constants: LatencyConstants) -> Errors:
    """Errors of recorded runs under other constants."""
    found: Errors = {}
    for one in runs:
        predicted = retimed(one, constants)
        found.setdefault(one.run.source, []).extend(
            (one.run.name, name, math.log(predicted[name] / measured))
            for name, measured in one.run.figures.items()
            if predicted[name] > 0
        )
    return found


def loss(errors: Errors) -> float:
    """What is minimized."""
    return fmean(fmean(abs(error) for _, _, error in one) for one in errors.values())


def chip_of(gpu: str) -> str:
    """The chip of a GPU."""
    return next(chip for chip, gpus in CHIPS.items() if gpu in gpus)


def moved(runs: Sequence[Recorded]) -> list[str]:
    """Constants that these runs say something of."""
    kinds = {""}
    chips: set[str] = set()
    for one in runs:
        variant = one.run.variant
        chips.add(chip_of(variant.gpu.key))
        kinds |= {"batch"} if variant.gpu.is_meshed else set()
        kinds |= {"experts"} if variant.spec.experts is not None else set()
        kinds |= {"fp8"} if variant.spec.dtype_bytes == 1 else set()
        kinds |= {"exchange"} if variant.tensor_parallel > 1 else set()
    fixed = {name for chip in chips for name in CALIBRATED.get(chip, ())}
    return [name for name, (_, _, kind) in MOVED.items() if kind in kinds and name not in fixed]


def fit(item: tuple[Sequence[Recorded], LatencyConstants]) -> LatencyConstants:
    """Constants at which the loss is least, one after the other, in ever smaller steps. What hardly
    matters to these runs stays near where it began."""
    runs, begin = item

    def found(constants: LatencyConstants) -> float:
        away = sum(abs(math.log(getattr(constants, n) / getattr(begin, n))) for n in moved(runs))
        return loss(retimed_errors(runs, constants)) + PRIOR * away

    best, least = begin, found(begin)
    for step in (1.5, 1.2, 1.08):
        for name in moved(runs):
            low, high, _ = MOVED[name]
            for factor in (step, 1 / step):
                while True:
                    value = min(high, max(low, getattr(best, name) * factor))
                    if value == getattr(best, name):
                        break
                    tried = dataclasses.replace(best, **{name: value})
                    if (less := found(tried)) >= least - 1e-4:
                        break
                    best, least = tried, less
    return best


def summary(errors: Errors) -> str:
    """Median error and share within 20 %."""
    off = [abs(math.exp(error) - 1) for one in errors.values() for _, _, error in one]
    within = sum(one <= 0.2 for one in off) / len(off)
    return f"median {median(off):.0%}, {within:.0%} of {len(off)} within 20 %"


def begun(gpu: str, seen: Sequence[Recorded]) -> LatencyConstants:
    """Where a fit begins: with what nobody measured here, so that no run is known beforehand; what
    none of the runs says anything of is a similar GPU's."""
    own = constants_of(GPUS[gpu]).constants
    similar = constants_of(SIMILAR[gpu]).constants
    known = moved(seen)
    neutral = {
        name: NEUTRAL[name] if name in known or name in NOT_SIMILAR[gpu] else getattr(similar, name)
        for name in MOVED
        if name not in CALIBRATED.get(gpu, ())
    }
    return dataclasses.replace(own, **neutral)


def left_out(
    gpu: str, runs: Sequence[PublishedRun | None], pool: ProcessPoolExecutor
) -> tuple[dict[str, dict[str, dict[str, float]]], list[dict[str, object]]]:
    """Of each GPU and source the constants that were fitted without it, and its errors by them."""
    own = constants_of(GPUS[gpu])
    whole = [run for run in runs if run is not None]
    everything = list(pool.map(recorded, [(run, own.constants) for run in whole]))
    inside = all_errors(whole, own.constants, pool)
    if len(whole) < len(runs):
        inside[REFERENCE] = errors_of((None, own.constants))
    without: dict[str, LatencyConstants] = {}
    sources = [source for source in inside if source != REFERENCE]
    seen = {source: [one for one in everything if one.run.source != source] for source in sources}
    items = [(seen[source], begun(gpu, seen[source])) for source in sources]
    if all(seen.values()):
        without = dict(zip(sources, map(_rounded, pool.map(fit, items)), strict=True))
    else:
        # Without any other source it has the constants of a GPU that never saw it.
        without = dict.fromkeys(sources, own.constants)
    if REFERENCE in inside:
        without[REFERENCE] = dataclasses.replace(own.constants, **UNCALIBRATED)
    rows: list[dict[str, object]] = []
    for source in inside:
        mine = {
            REFERENCE if run is None else run.name: run
            for run in runs
            if (REFERENCE if run is None else run.source) == source
        }
        outside = all_errors(list(mine.values()), without[source], pool)
        print(
            f"{gpu} {source}: in-sample {summary({source: inside[source]})}; "
            f"left out {summary(outside)}\n    {_moved_of(without[source])}",
            flush=True,
        )
        for name, figure, error in outside[source]:
            run = mine[name]
            spec = None if run is None else run.variant.spec
            rows.append(
                {
                    "gpu": gpu if run is None else run.variant.gpu.key,
                    "source": source,
                    "run": name,
                    "figure": figure,
                    "log_error": round(error, 4),
                    "count": 1 if run is None else run.variant.tensor_parallel,
                    "family": "qwen2_vl" if spec is None else spec.model_type,
                    "experts": spec is not None and spec.experts is not None,
                    "fp8": spec is not None and spec.dtype_bytes == 1,
                }
            )
    found: dict[str, dict[str, dict[str, float]]] = {}
    for run in runs:
        key, source = (gpu, REFERENCE) if run is None else (run.variant.gpu.key, run.source)
        found.setdefault(key, {})[source] = _moved_of(without[source])
    return found, rows


def _moved_of(constants: LatencyConstants) -> dict[str, float]:
    return {name: getattr(constants, name) for name in MOVED}


def _rounded(constants: LatencyConstants) -> LatencyConstants:
    """Three digits, as they are written down."""
    three = {name: float(f"{value:.3g}") for name, value in _moved_of(constants).items()}
    return dataclasses.replace(constants, **three)


def main() -> None:
    """Fit every GPU, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", action="append", choices=sorted(CHIPS))
    parser.add_argument("--errors", type=Path)
    parser.add_argument("--fit", action="store_true", help="only fit on all sources")
    parser.add_argument("--no-fit", action="store_true", help="errors of the constants as they are")
    options = parser.parse_args()
    published = all_runs()
    rows: list[dict[str, object]] = []
    without: dict[str, dict[str, dict[str, float]]] = {}
    with ProcessPoolExecutor(2) as pool:
        for gpu in options.gpu or CHIPS:
            runs: list[PublishedRun | None] = [
                run for run in published if run.variant.gpu.key in CHIPS[gpu]
            ]
            if gpu == "mi300x":
                runs.append(None)
            constants = constants_of(GPUS[gpu]).constants
            if options.no_fit:
                for source, one in all_errors(runs, constants, pool).items():
                    print(f"{gpu} {source}: {summary({source: one})}")
            elif options.fit:
                whole = [run for run in runs if run is not None]
                kept = list(pool.map(recorded, [(run, constants) for run in whole]))
                fitted = fit((kept, begun(gpu, kept)))
                print(gpu, dataclasses.asdict(fitted), summary(retimed_errors(kept, fitted)))
            else:
                constants_without, errors = left_out(gpu, runs, pool)
                without |= constants_without
                rows += errors
    if options.errors is not None:
        found = {"constants": without, "errors": rows}
        options.errors.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
