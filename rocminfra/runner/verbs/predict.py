"""``rocminfra predict``: a benchmark before a GPU is rented. No GPU, no SSH, no internet."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from rocminfra.bench.scenario import Scenario
from rocminfra.failure import Do, ExitCode, FailedError, Fault
from rocminfra.model_files import load_model
from rocminfra.planning.capacity.capacity import Serving
from rocminfra.planning.capacity.overhead import GIB, measured
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.planning.model.spec import PredictionUnsupportedError, UnknownModelError
from rocminfra.planning.prediction.calibration import CalibrationError, calibrate
from rocminfra.planning.prediction.grid import Outcome, choices, variant_of
from rocminfra.planning.prediction.predict import DoesNotFitError, Variant
from rocminfra.planning.prediction.published import Comparison, compare, predict_reference
from rocminfra.planning.prediction.sensitivity import Effect, effects
from rocminfra.playbook_files import playbook_root
from rocminfra.reference_run import (
    GPU_MEMORY_UTILIZATION,
    MAX_MODEL_LEN,
    MAX_NUM_BATCHED_TOKENS,
    MAX_NUM_SEQS,
)
from rocminfra.report.measured import read_measured
from rocminfra.runner.output import run_text
from rocminfra.runner.output.predict_json import predict_document
from rocminfra.runner.output.predict_svg import Panel, prediction_svg
from rocminfra.runner.output.predict_text import (
    caption,
    effect_lines,
    figure_lines,
    grid_lines,
    outcome_lines,
)
from rocminfra.runner.output.run_json import dump, error_document
from rocminfra.runner.verbs.planning_defaults import host_settings, looked_up, with_settings
from rocminfra.runner.verbs.planning_options import (
    Finite,
    block_size_option,
    dtype_option,
    gpu_key,
    host_option,
    kv_dtype,
    model_option,
    overhead_option,
    pixels,
    positive,
    several,
)
from rocminfra.runner.verbs.predict_grid import REFERENCE_SCENARIOS, Question, predict_all, scenario
from rocminfra.runner.verbs.predict_question import (
    no_prediction,
    question_of,
    refuse_speculation,
)
from rocminfra.settings import Settings
from rocminfra.settings.problems import SettingsError


@click.command()
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]...")
@model_option
@host_option
@click.option(
    "--gpu", metavar="GPU[,GPU]", callback=several(gpu_key), default="mi300x", show_default=True
)
@click.option(
    "--count",
    "--tensor-parallel",
    "count",
    type=click.IntRange(1, 64),
    default=None,
    help="GPUs of one engine [default: the host's, else 1]",
)
@dtype_option
@click.option(
    "--replicas", callback=several(positive), default="1", show_default=True, help="engines"
)
@click.option(
    "--max-num-seqs",
    callback=several(positive),
    default=None,
    help=f"[default: the host's, else {MAX_NUM_SEQS}]",
)
@click.option(
    "--max-num-batched-tokens",
    callback=several(positive),
    default=None,
    help=f"[default: the host's, else {MAX_NUM_BATCHED_TOKENS}]",
)
@click.option(
    "--max-pixels",
    callback=several(pixels),
    default=None,
    help="cap of an image's pixels [default: the host's, else none]",
)
@click.option(
    "--kv-cache-dtype",
    callback=several(kv_dtype),
    default=None,
    help="[default: the host's, else auto]",
)
@click.option(
    "--utilization",
    type=float,
    default=None,
    help=f"[default: the host's, else {GPU_MEMORY_UTILIZATION}]",
)
@click.option(
    "--max-model-len",
    type=click.IntRange(1),
    default=None,
    help=f"[default: the host's, else {MAX_MODEL_LEN}]",
)
@block_size_option
@overhead_option
@click.option(
    "--prefix-hits",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="share of a prompt's tokens that the prefix cache holds",
)
@click.option(
    "--speculative-config", default=None, help="refused: speculative decoding is not modelled"
)
@click.option(
    "--prompt-tokens", type=click.IntRange(1), default=None, help="without a scenario's file"
)
@click.option("--output-tokens", type=click.IntRange(1), default=None, help="likewise")
@click.option(
    "--concurrency", type=click.IntRange(1), default=None, help="likewise: requests in flight"
)
@click.option(
    "--rate", type=Finite(min=0, min_open=True), default=None, help="likewise: requests a second"
)
@click.option(
    "--requests",
    type=click.IntRange(1),
    default=None,
    help="likewise: how many [default: for 300 s]",
)
@click.option(
    "--usd-per-hour",
    type=Finite(min=0),
    default=None,
    help="price of one engine's node [default: 1.99 for an MI300X, else unknown]",
)
@click.option(
    "--check", is_flag=True, help="the reference run's published figures against the prediction"
)
@click.option("--sensitivity", is_flag=True, help="with --check: how far each constant moves them")
@click.option(
    "--calibrate",
    "run",
    metavar="RESULTS",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="take the constants from a measured run, such as results/20260513T101500Z",
)
@click.option(
    "--svg", type=click.Path(path_type=Path, dir_okay=False), help="write the picture to this file"
)
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout")
def predict(as_json: bool, **options: Any) -> ExitCode:
    """Say what a benchmark would measure: TTFT, ITL, throughput, KV cache, preemptions, cost.

    SCENARIO is a file of benchmarks/ or a path; without one those of the reference run. GPU,
    replicas and the engine's limits take several values with commas between them: every
    combination is predicted.

    \b
    rocminfra predict
    rocminfra predict docvqa --max-pixels none,1003520 --gpu mi300x,mi325x
    rocminfra predict --model ./model --prompt-tokens 1000 --output-tokens 200 --concurrency 32
    rocminfra predict --check
    """
    try:
        is_check = options["check"] or options["sensitivity"]
        name = options.pop("host")
        # Published figures are about the reference run, whatever hosts somebody has.
        settings = Settings() if is_check else host_settings(name)
        given = with_settings(options, settings, _SEVERAL) | looked_up(options["model"], settings)
        return _answer(as_json, given)
    except FailedError as error:
        if not as_json:
            raise
        print(dump(error_document("predict", error)))
        return error.failure.kind


# Options that take several values.
_SEVERAL = ("max_num_seqs", "max_num_batched_tokens", "max_pixels", "kv_cache_dtype")


@dataclass
class _Answer:
    """What is printed."""

    variant: Variant
    outcomes: Sequence[Outcome] = ()
    figures: Sequence[Comparison] = ()
    heading: str = "published"  # of the column that figures are compared with
    effects: Sequence[Effect] = ()


def _answer(as_json: bool, options: dict[str, Any]) -> ExitCode:
    refuse_speculation(options)
    answer = _Answer(_base(options))
    is_check = options["check"] or options["sensitivity"]
    if is_check:
        _refuse_another_check(answer.variant, options)
    if options["run"] is not None:
        answer.variant, answer.figures = _calibrated(answer.variant, options)
        answer.heading = "measured"
    if is_check:
        _check(answer, options["sensitivity"])
    else:
        answer.outcomes = _predicted(answer.variant, options)
    code = ExitCode.DONE
    if answer.outcomes and all(outcome.error is not None for outcome in answer.outcomes):
        is_unfit = any(outcome.is_unfit for outcome in answer.outcomes)
        code = ExitCode.UNFIT if is_unfit else ExitCode.SETTINGS
    if options["svg"] is not None:
        _write_svg(options["svg"], answer)
    if as_json:
        print(
            dump(
                predict_document(
                    answer.variant.spec,
                    answer.variant.constants,
                    answer.outcomes,
                    answer.figures,
                    answer.effects,
                    code,
                )
            )
        )
        return code
    _print(answer)
    return code


def _base(options: dict[str, Any]) -> Variant:
    """The variant that all others are made from: its first values."""
    try:
        spec = load_model(options["model"], options["dtype"], options["revision"], options["hub"])
        spec.shape()
        overhead_gib = options["overhead_gib"]
        serving = Serving(
            utilization=options["utilization"],
            max_model_len=options["max_model_len"] or min(MAX_MODEL_LEN, spec.max_position),
            block_size=options["block_size"],
            overhead=None if overhead_gib is None else measured(int(overhead_gib * GIB)),
        )
        return variant_of(choices(options)[0], Variant(spec, serving=serving))
    except (UnknownModelError, PredictionUnsupportedError) as error:
        raise FailedError(
            Fault.MODEL_UNKNOWN,
            str(error),
            next=Do(f"rocminfra predict --model FOLDER   # default: {REFERENCE_NAME}"),
        ) from None


def _predicted(base: Variant, options: dict[str, Any]) -> Sequence[Outcome]:
    question = question_of(options)
    names = options["scenarios"] or (() if question is not None else REFERENCE_SCENARIOS)
    found: list[Scenario | Question] = [] if question is None else [question]
    try:
        found += [scenario(name, playbook_root() / "benchmarks") for name in names]
    except SettingsError as error:
        raise FailedError(
            Fault.SCENARIO_INVALID,
            "the scenario cannot be used",
            tuple(str(problem) for problem in error.problems),
        ) from None
    variants = [(choice, variant_of(choice, base)) for choice in choices(options)]
    outcomes = predict_all(
        variants, found, options["usd_per_hour"], prefix_share=options["prefix_hits"]
    )
    if len(outcomes) == 1 and outcomes[0].error is not None:
        raise no_prediction(outcomes[0], options)
    return outcomes


def _calibrated(variant: Variant, options: dict[str, Any]) -> tuple[Variant, Sequence[Comparison]]:
    try:
        found = calibrate(variant, read_measured(options["run"]))
    except DoesNotFitError as error:
        raise FailedError(Fault.MODEL_DOES_NOT_FIT, str(error)) from None
    except (CalibrationError, ValueError) as error:
        raise FailedError(
            Fault.RUN_CANNOT_CALIBRATE,
            f"{options['run']} cannot calibrate the prediction",
            (str(error),),
        ) from None
    return found.variant, found.comparisons


def _refuse_another_check(variant: Variant, options: dict[str, Any]) -> None:
    """Published figures say nothing of another engine; an error against them would be noise."""
    if variant.spec.name != REFERENCE_NAME:
        what = f"figures were published for {REFERENCE_NAME}, not for {variant.spec.name}"
    elif options["scenarios"]:
        what = "--check is about both published scenarios and takes no other"
    elif variant != Variant(variant.spec) or len(choices(options)) > 1:
        what = (
            "figures were published for one engine on one MI300X: --check takes no other GPU, "
            "number of engines or limits"
        )
    else:
        return
    raise FailedError(Fault.OPTION_INVALID, what, next=Do("rocminfra predict --check"))


def _check(answer: _Answer, with_sensitivity: bool) -> None:
    path = playbook_root() / "benchmarks" / "reference.yaml"
    reference = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        is_default = answer.variant.given_constants is None
        found = predict_reference(answer.variant, reference)
        published = compare(found, reference, is_calibrated_here=is_default)
        answer.heading = "measured, then published" if answer.figures else "published"
        answer.figures = (*answer.figures, *published)
        if with_sensitivity:
            answer.effects = effects(answer.variant, reference)
    except ValueError as error:
        unfit = isinstance(error, DoesNotFitError)
        fault = Fault.MODEL_DOES_NOT_FIT if unfit else Fault.OPTION_INVALID
        raise FailedError(fault, str(error)) from None


def _write_svg(path: Path, answer: _Answer) -> None:
    panels = [
        Panel(
            f"{name}: {points[-1].point.label} on {outcome.choice.gpu}, "
            f"max-num-seqs {outcome.choice.max_num_seqs}",
            points[-1].traces[0],
            caption(points[-1], outcome.bands),
        )
        for outcome in answer.outcomes
        for name, points in outcome.scenarios
    ]
    try:
        path.write_text(
            prediction_svg(f"{answer.variant.spec.name}, predicted", panels), encoding="utf-8"
        )
    except OSError as error:
        raise FailedError(Fault.OUTPUT_NOT_WRITABLE, f"{path} cannot be written: {error}") from None
    run_text.message(f"the picture is in {path}")


def _print(answer: _Answer) -> None:
    lines: list[str] = []
    if answer.figures:
        lines += [*figure_lines(answer.figures, answer.heading), ""]
    if answer.effects:
        lines += [*effect_lines(answer.effects), ""]
    if len(answer.outcomes) == 1:
        variant = answer.variant
        head = f"{variant.spec.name} on {variant.tensor_parallel} x {variant.gpu.name}"
        engines = f", {variant.replicas} replicas" if variant.replicas > 1 else ""
        lines += [f"{head}{engines}: predicted, nothing was measured", ""]
        is_utf8 = (sys.stdout.encoding or "").lower().startswith("utf")
        lines += outcome_lines(answer.outcomes[0], is_utf8)
    elif answer.outcomes:
        lines += grid_lines(answer.outcomes)
    for line in lines:
        print(line)
