"""Compare the published figures of the reference run with its prediction.

Two of the figures calibrate a constant each; the others are held out. The published values are data
(``benchmarks/reference.yaml``) that the caller passes in. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rocminfra.planning.bench.points import Stage
from rocminfra.planning.prediction.point_figures import PointFigures
from rocminfra.planning.prediction.predict import PredictedPoint, Timing, Variant, predict
from rocminfra.planning.prediction.workload import ScannedPages, SyntheticText

CALIBRATED = "calibrated on"
HELD_OUT = "held out"


@dataclass(frozen=True)
class Comparison:
    """One published figure.

    + name: scenario and figure
    + unit: of both values
    + published, predicted: the two values
    + role: ``calibrated on`` or ``held out``
    + constant: the constant that it calibrates, None if held out
    + note: remark
    """

    name: str
    unit: str
    published: float
    predicted: float
    role: str
    constant: str | None = None
    note: str = ""

    @property
    def error(self) -> float:
        """Relative error; 0.1 means 10 % too high."""
        return self.predicted / self.published - 1.0


@dataclass(frozen=True)
class ReferencePrediction:
    """Predictions for both published scenarios."""

    sweep: tuple[PredictedPoint, ...]
    docvqa: PredictedPoint

    @property
    def synchronous(self) -> PointFigures:
        """The first point of the sweep."""
        return self.sweep[0].figures

    @property
    def highest_rate(self) -> PointFigures:
        """The last point of the sweep: the highest constant rate, which equals the throughput
        point's rate."""
        return self.sweep[-1].figures

    @property
    def sweep_kv_max(self) -> float:
        """Highest KV usage of any point of the sweep."""
        return max(point.figures.kv_usage_max or 0.0 for point in self.sweep)


def predict_reference(variant: Variant, reference: Mapping[str, Any]) -> ReferencePrediction:
    """Predict both scenarios of the reference run.

    + reference: ``benchmarks/reference.yaml``
    """
    scenarios = reference["scenarios"]
    sweep, docvqa = scenarios["synthetic_sweep"], scenarios["docvqa"]
    vision = variant.spec.vision
    if vision is None:
        raise ValueError("the reference run asks about pages, but this model takes no images")
    template = sweep["measured_prompt_tokens"] - sweep["prompt_tokens"]
    return ReferencePrediction(
        sweep=predict(
            variant,
            [Stage("sweep")],
            SyntheticText(sweep["prompt_tokens"], sweep["output_tokens"], template),
            Timing(sweep["max_seconds"], sweep["warmup_seconds"]),
        ),
        docvqa=predict(
            variant,
            [Stage("concurrent", streams=(docvqa["concurrency"],))],
            ScannedPages(
                vision,
                variant.serving.max_pixels,
                median_pixels=docvqa["image_megapixels"] * 1e6,
                output_median=docvqa["output_tokens_median"],
            ),
            Timing(docvqa["max_seconds"], docvqa["warmup_seconds"]),
        )[0],
    )


def compare(
    predicted: ReferencePrediction, reference: Mapping[str, Any], *, is_calibrated_here: bool = True
) -> tuple[Comparison, ...]:
    """Compare every published figure with its prediction.

    + is_calibrated_here: whether the constants were calibrated on published figures; with constants
      from a measured run, every published figure is held out
    """
    sweep = reference["scenarios"]["synthetic_sweep"]
    docvqa = reference["scenarios"]["docvqa"]
    completed = docvqa["requests"]["completed"]
    tokens = docvqa["prompt_tokens_median"] + docvqa["output_tokens_median"]
    rows: list[
        tuple[str, str, float, Callable[[ReferencePrediction], float | None], str | None, str]
    ]
    rows = [
        (
            "synthetic_sweep: ITL median, synchronous",
            "ms",
            sweep["itl_median_ms"]["synchronous"],
            lambda p: _ms(p.synchronous.itl_median_s),
            "layer_overhead_s",
            "",
        ),
        (
            "synthetic_sweep: ITL median, highest constant rate",
            "ms",
            sweep["itl_median_ms"]["highest_constant_rate"],
            lambda p: _ms(p.highest_rate.itl_median_s),
            None,
            "rate not published: the predicted throughput, by GuideLLM's sweep rule",
        ),
        (
            "synthetic_sweep: KV cache usage, maximum",
            "%",
            100 * sweep["kv_cache_usage_max"],
            lambda p: 100 * p.sweep_kv_max,
            None,
            "",
        ),
        (
            "docvqa: TTFT median",
            "s",
            docvqa["ttft_median_s"],
            lambda p: p.docvqa.figures.ttft_median_s,
            None,
            "",
        ),
        (
            "docvqa: ITL median",
            "ms",
            docvqa["itl_median_ms"],
            lambda p: _ms(p.docvqa.figures.itl_median_s),
            "compute_fraction",
            "",
        ),
        (
            "docvqa: requests completed",
            "requests",
            completed,
            lambda p: float(p.docvqa.figures.completed),
            None,
            "",
        ),
        (
            "docvqa: tokens a second, all",
            "tokens/s",
            docvqa["total_tokens_per_s"],
            lambda p: p.docvqa.figures.tokens_per_s_all_0_6,
            None,
            "as counted by GuideLLM up to 0.6.1",
        ),
        (
            "docvqa: tokens a second, completed",
            "tokens/s",
            completed * tokens / docvqa["duration_s"],
            lambda p: p.docvqa.figures.tokens_per_s_completed,
            None,
            "follows from the completed requests: the two are one figure",
        ),
        (
            "docvqa: KV cache usage, minimum",
            "%",
            100 * docvqa["kv_cache_usage"]["min"],
            lambda p: _percent(p.docvqa.figures.kv_usage_min),
            None,
            "first sample of a log line every 10 s while the cache fills; expected value",
        ),
        (
            "docvqa: KV cache usage, maximum",
            "%",
            100 * docvqa["kv_cache_usage"]["max"],
            lambda p: _percent(p.docvqa.figures.kv_usage_max),
            None,
            "",
        ),
    ]
    return tuple(
        Comparison(
            name=name,
            unit=unit,
            published=float(value),
            predicted=get(predicted) or 0.0,
            role=CALIBRATED if constant is not None and is_calibrated_here else HELD_OUT,
            constant=constant if is_calibrated_here else None,
            note=note,
        )
        for name, unit, value, get, constant, note in rows
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100
