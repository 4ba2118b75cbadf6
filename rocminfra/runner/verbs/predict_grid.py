"""What ``rocminfra predict`` works on: scenarios, variants, and their predictions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rocminfra.bench.scenario import HubDataset, Scenario, SyntheticText, load_scenario
from rocminfra.failure import Do, ExitCode, FailedError
from rocminfra.planning.bench.points import Stage
from rocminfra.planning.capacity.capacity import Serving
from rocminfra.planning.model.spec import ModelSpec
from rocminfra.planning.prediction import workload as workloads
from rocminfra.planning.prediction.grid import (
    REFERENCE_GPU,
    REFERENCE_USD_PER_HOUR,
    Choice,
    Outcome,
)
from rocminfra.planning.prediction.predict import (
    DoesNotFitError,
    PredictedPoint,
    Timing,
    Variant,
    predict,
)
from rocminfra.planning.prediction.workload import Workload

# Predicted when no scenario is named: those of the reference run.
REFERENCE_SCENARIOS = ("synthetic_sweep", "docvqa")
# A grid of fewer variants is not worth the start of processes.
_FEW = 4


@dataclass(frozen=True)
class Job:
    """A scenario ready to be predicted."""

    name: str
    stages: tuple[Stage, ...]
    workload: Workload
    timing: Timing


def predict_all(
    variants: Sequence[tuple[Choice, Variant]],
    scenarios: Sequence[Scenario],
    usd_per_hour: float | None,
    jobs: int | None = None,
) -> list[Outcome]:
    """Predictions of all variants, in order; several processes for a large grid.

    + usd_per_hour: of one engine; None takes the published price for the reference GPU
    + jobs: processes; None takes one a core
    """
    work = [(choice, variant, tuple(scenarios), usd_per_hour) for choice, variant in variants]
    processes = min(jobs or os.cpu_count() or 1, len(work))
    if len(work) < _FEW or processes == 1:
        return [_outcome(item) for item in work]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(_outcome, work, chunksize=1))


def scenario(name: str, folder: Path) -> Scenario:
    """A scenario of ``benchmarks/``; raises SettingsError, and :class:`FailedError` for data
    whose requests nobody described."""
    found = load_scenario(name, folder)
    if isinstance(found.data, SyntheticText) or _is_docvqa(found):
        return found
    raise FailedError(
        ExitCode.SETTINGS,
        f"scenario {name}: how long the requests of its data are is not known, so nothing can be "
        "predicted",
        ("known are synthetic_text, and lmms-lab/DocVQA by its published medians",),
        Do("rocminfra predict docvqa"),
    )


def job_of(found: Scenario, spec: ModelSpec, serving: Serving) -> Job:
    """A scenario as the prediction takes it; ValueError for pages without a vision encoder."""
    data = found.data
    load: Workload
    if isinstance(data, SyntheticText):
        load = workloads.SyntheticText(data.prompt_tokens, data.output_tokens)
    elif spec.vision is None:
        raise ValueError(
            f"scenario {found.name} asks about pages, and how {spec.name} cuts them is not known"
        )
    else:
        load = workloads.ScannedPages(spec.vision, serving.max_pixels)
    timing = Timing(found.max_seconds, found.warmup_seconds, found.max_requests)
    return Job(found.name, found.plan, load, timing)


def _is_docvqa(found: Scenario) -> bool:
    return isinstance(found.data, HubDataset) and "docvqa" in found.data.source.lower()


def _outcome(item: tuple[Choice, Variant, tuple[Scenario, ...], float | None]) -> Outcome:
    choice, variant, scenarios, price = item
    if price is None and choice.gpu == REFERENCE_GPU:
        price = REFERENCE_USD_PER_HOUR * choice.count
    total = None if price is None else price * choice.replicas
    try:
        predicted = tuple(_predicted(found, variant) for found in scenarios)
    except ValueError as error:
        is_unfit = isinstance(error, DoesNotFitError)
        return Outcome(choice, variant, (), total, str(error), is_unfit)
    return Outcome(choice, variant, predicted, total)


def _predicted(found: Scenario, variant: Variant) -> tuple[str, tuple[PredictedPoint, ...]]:
    job = job_of(found, variant.spec, variant.serving)
    return job.name, predict(variant, job.stages, job.workload, job.timing)
