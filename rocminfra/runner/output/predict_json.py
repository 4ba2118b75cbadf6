"""Predictions as JSON, in the form that ``schemas/predict.json`` publishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rocminfra import __version__
from rocminfra.failure import ExitCode
from rocminfra.planning.cost import usd_per_million_tokens
from rocminfra.planning.engine.latency import LatencyConstants
from rocminfra.planning.model.spec import ModelSpec
from rocminfra.planning.prediction.grid import Outcome
from rocminfra.planning.prediction.predict import PredictedPoint
from rocminfra.planning.prediction.published import Comparison
from rocminfra.planning.prediction.sensitivity import Effect
from rocminfra.runner.output.run_json import SCHEMA_VERSION


def predict_document(
    spec: ModelSpec,
    constants: LatencyConstants,
    outcomes: Sequence[Outcome],
    figures: Sequence[Comparison],
    effects: Sequence[Effect],
    code: ExitCode,
) -> dict[str, Any]:
    """Everything that ``rocminfra predict`` knows.

    + figures: with ``--check`` the published figures, with ``--calibrate`` the measured ones
    """
    return {
        "schema": SCHEMA_VERSION,
        "rocminfra": __version__,
        "verb": "predict",
        "code": int(code),
        "model": spec.name,
        "constants": asdict(constants),
        "variants": [_outcome(outcome) for outcome in outcomes],
        "figures": [figure_document(figure) for figure in figures],
        "sensitivity": [asdict(effect) for effect in effects],
        "error": None,
    }


def figure_document(figure: Comparison) -> dict[str, Any]:
    """A published or measured figure against its prediction; ``error`` is relative."""
    return {
        "name": figure.name,
        "unit": figure.unit,
        "published": round(figure.published, 4),
        "predicted": round(figure.predicted, 4),
        "error": round(figure.error, 4),
        "role": figure.role,
        "constant": figure.constant,
        "note": figure.note,
    }


def cost(usd_per_hour: float | None, tokens_per_s: float) -> float | None:
    """Dollars a million tokens; None without a price or without tokens."""
    if usd_per_hour is None or tokens_per_s <= 0:
        return None
    return usd_per_million_tokens(usd_per_hour, tokens_per_s)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    serving = outcome.variant.serving
    return {
        **asdict(outcome.choice),
        "gpu_memory_utilization": serving.utilization,
        "max_model_len": serving.max_model_len,
        "usd_per_hour": outcome.usd_per_hour,
        "scenarios": [
            {
                "name": name,
                "points": [_point(point, outcome.usd_per_hour) for point in points],
            }
            for name, points in outcome.scenarios
        ],
        "error": outcome.error,
    }


def _point(point: PredictedPoint, usd_per_hour: float | None) -> dict[str, Any]:
    found = point.figures
    return {
        "name": point.point.name,
        "label": point.point.label,
        "streams": point.point.streams,
        "rate": point.point.rate,
        "completed": found.completed,
        "incomplete": found.incomplete,
        "requests_per_second": found.requests_per_second,
        "ttft_median_s": found.ttft_median_s,
        "ttft_p95_s": found.ttft_p95_s,
        "itl_median_ms": _ms(found.itl_median_s),
        "itl_p95_ms": _ms(found.itl_p95_s),
        "tokens_per_s_all": found.tokens_per_s_all,
        "tokens_per_s_completed": found.tokens_per_s_completed,
        "kv_usage_min": found.kv_usage_min,
        "kv_usage_max": found.kv_usage_max,
        "preemptions": found.preemptions,
        "usd_per_million_tokens_all": cost(usd_per_hour, found.tokens_per_s_all),
        "usd_per_million_tokens_completed": cost(usd_per_hour, found.tokens_per_s_completed),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
