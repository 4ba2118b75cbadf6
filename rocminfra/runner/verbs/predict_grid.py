"""What ``rocminfra predict`` works on: scenarios, variants, and their predictions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from rocminfra.bench.scenario import Scenario, load_scenario
from rocminfra.bench.scenario_data import (
    PAGE_HEIGHT,
    PAGE_WIDTH,
    DocumentPages,
    HubDataset,
    SyntheticText,
)
from rocminfra.failure import Do, FailedError, Fault
from rocminfra.planning.bench.points import MAX_CONCURRENCY, SEARCHES, Stage
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
from rocminfra.runner import typed

# Predicted when no scenario is named: those of the reference run.
REFERENCE_SCENARIOS = ("synthetic_sweep", "docvqa")
# How long requests are sent when nobody says how many, and how long a number of them may take.
_QUESTION_S, _LONGEST_S = 300.0, 86_400.0
# A grid of fewer variants is not worth the start of processes.
_FEW = 4
# Loads that only a measurement decides.
NOT_PREDICTED = (*SEARCHES, "bursts")


@dataclass(frozen=True)
class Question:
    """A scenario that stands in no file: one load of requests of one size.

    + concurrency: requests in flight; None takes ``rate``, or one at a time without it
    + rate: requests a second
    + requests: how many; None asks for as long as a scenario does
    + prompt_tokens, output_tokens: of every request
    """

    concurrency: int | None
    rate: float | None
    requests: int | None
    prompt_tokens: int
    output_tokens: int

    name = "question"


@dataclass(frozen=True)
class Job:
    """A scenario ready to be predicted."""

    name: str
    stages: tuple[Stage, ...]
    workload: Workload
    timing: Timing


def predict_all(
    variants: Sequence[tuple[Choice, Variant]],
    scenarios: Sequence[Scenario | Question],
    usd_per_hour: float | None,
    jobs: int | None = None,
    prefix_share: float = 0.0,
) -> list[Outcome]:
    """Predictions of all variants, in order; several processes for a large grid.

    + usd_per_hour: of one engine; None takes the published price for the reference GPU
    + jobs: processes; None takes one a core
    + prefix_share: share of a prompt's tokens that the prefix cache holds
    """
    asked = (tuple(scenarios), usd_per_hour, prefix_share)
    work = [(choice, variant, *asked) for choice, variant in variants]
    processes = min(jobs or os.cpu_count() or 1, len(work))
    if len(work) < _FEW or processes == 1:
        return [_outcome(item) for item in work]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(_outcome, work, chunksize=1))


def scenario(name: str, folder: Path) -> Scenario:
    """A scenario of ``benchmarks/``; raises SettingsError, and :class:`FailedError` for data
    whose requests nobody described."""
    found = load_scenario(name, folder)
    unknown = [stage.profile for stage in found.stages if stage.profile in NOT_PREDICTED]
    if unknown:
        raise FailedError(
            Fault.SCENARIO_INVALID,
            f"scenario {name}: profile {unknown[0]} cannot be predicted",
            ("what a search probes, and when bursts meet, follows from what is measured",),
            Do(typed.changed("predict", without=name, more=["synthetic_sweep"])),
        )
    if isinstance(found.data, (SyntheticText, DocumentPages)) or _is_docvqa(found):
        return found
    raise FailedError(
        Fault.SCENARIO_INVALID,
        f"scenario {name}: how long the requests of its data are is not known, so nothing can be "
        "predicted",
        ("known are synthetic_text, and lmms-lab/DocVQA by its published medians",),
        Do(typed.changed("predict", without=name, more=["docvqa"])),
    )


def job_of(
    found: Scenario | Question, spec: ModelSpec, serving: Serving, prefix_share: float = 0.0
) -> Job:
    """A scenario as the prediction takes it; ValueError for pages without a vision encoder.

    + prefix_share: share of a prompt's tokens that the prefix cache holds
    """
    load: Workload
    if isinstance(found, Question):
        return _asked(found, prefix_share)
    data = found.data
    if isinstance(data, SyntheticText):
        load = workloads.SyntheticText(
            data.prompt_tokens,
            data.output_tokens,
            prompt_stdev=data.prompt_tokens_stdev or 0,
            output_stdev=data.output_tokens_stdev or 0,
            prefix_share=max(prefix_share, data.prefix_share),
        )
    elif spec.vision is None:
        raise ValueError(
            f"scenario {found.name} asks about pages, and how {spec.name} cuts them is not known"
        )
    elif isinstance(data, DocumentPages):
        load = workloads.ScannedPages(
            spec.vision,
            serving.max_pixels,
            median_pixels=PAGE_WIDTH * PAGE_HEIGHT,
            aspect=PAGE_HEIGHT / PAGE_WIDTH,
            prefix_share=prefix_share,
        )
    else:
        load = workloads.ScannedPages(spec.vision, serving.max_pixels, prefix_share=prefix_share)
    timing = Timing(found.max_seconds, found.warmup_seconds, found.max_requests)
    # In one process or in many, and once or three times: the same load is predicted.
    stages = tuple(replace(stage, native=False, repeat=1) for stage in found.plan)
    return Job(found.name, stages, load, timing)


def _asked(question: Question, prefix_share: float) -> Job:
    load = workloads.SyntheticText(
        question.prompt_tokens, question.output_tokens, 0, prefix_share=prefix_share
    )
    stage = Stage("concurrent", streams=(question.concurrency or 1,))
    if question.rate is not None:
        most = question.concurrency or MAX_CONCURRENCY
        stage = Stage("constant", rates=(question.rate,), max_concurrency=most)
    if question.requests is None:
        return Job(question.name, (stage,), load, Timing(_QUESTION_S, 0.0))
    return Job(question.name, (stage,), load, Timing(_LONGEST_S, 0.0, question.requests))


def _is_docvqa(found: Scenario) -> bool:
    return isinstance(found.data, HubDataset) and "docvqa" in found.data.source.lower()


def _outcome(
    item: tuple[Choice, Variant, tuple[Scenario | Question, ...], float | None, float],
) -> Outcome:
    choice, variant, scenarios, price, prefix_share = item
    if price is None and choice.gpu == REFERENCE_GPU:
        price = REFERENCE_USD_PER_HOUR * choice.count
    total = None if price is None else price * choice.replicas
    predicted: list[tuple[str, tuple[PredictedPoint, ...]]] = []
    refused: list[tuple[str, str]] = []
    for found in scenarios:
        try:
            points = _predicted(found, variant, prefix_share)
        except DoesNotFitError as error:
            return Outcome(choice, variant, (), total, str(error), is_unfit=True)
        except ValueError as error:
            refused.append((found.name, str(error)))
            continue
        predicted.append((found.name, points))
    if not predicted:
        words = "; ".join(dict.fromkeys(why for _, why in refused))
        return Outcome(choice, variant, (), total, words, refused=tuple(refused))
    return Outcome(choice, variant, tuple(predicted), total, refused=tuple(refused))


def _predicted(
    found: Scenario | Question, variant: Variant, prefix_share: float
) -> tuple[PredictedPoint, ...]:
    """All points; ValueError when not one request would end, which no figure can be made of."""
    job = job_of(found, variant.spec, variant.serving, prefix_share)
    points = predict(variant, job.stages, job.workload, job.timing)
    if not any(point.figures.completed for point in points):
        raise ValueError(
            f"scenario {job.name}: not one request would end within {job.timing.seconds:g} s, so "
            "there is nothing to measure: give it more time (max_seconds), or shorter requests"
        )
    return points
