"""Predictions as JSON, in the form that ``schemas/predict.json`` publishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rocminfra import __version__
from rocminfra.failure import ExitCode
from rocminfra.planning.cost import usd_per_million_tokens
from rocminfra.planning.engine.latency_constants import LatencyConstants, constants_of
from rocminfra.planning.model.spec import ModelSpec
from rocminfra.planning.prediction.bands import LEVEL, Band, Bands
from rocminfra.planning.prediction.grid import Outcome
from rocminfra.planning.prediction.point_figures import Spread
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


def cost(usd_per_hour: float | None, tokens_per_s: float, completed: int) -> float | None:
    """Dollars a million tokens; None without a price, or where no request was completed."""
    if usd_per_hour is None or tokens_per_s <= 0 or completed == 0:
        return None
    return usd_per_million_tokens(usd_per_hour, tokens_per_s)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    serving = outcome.variant.serving
    bands = outcome.bands
    known = constants_of(outcome.variant.gpu)
    is_given = outcome.variant.given_constants is not None
    return {
        **asdict(outcome.choice),
        "gpu_memory_utilization": serving.utilization,
        "max_model_len": serving.max_model_len,
        "block_size": serving.block_size,
        "band": {"level": LEVEL, "is_checked": not bands.reasons, "reasons": list(bands.reasons)},
        "constants": asdict(outcome.variant.constants),
        "assumed_constants": [] if is_given else list(known.assumed),
        "assumed_from": None if is_given else known.taken_from,
        "usd_per_hour": outcome.usd_per_hour,
        "scenarios": [
            {
                "name": name,
                "points": [_point(point, outcome.usd_per_hour, bands) for point in points],
                "error": None,
            }
            for name, points in outcome.scenarios
        ]
        + [{"name": name, "points": [], "error": why} for name, why in outcome.refused],
        "error": outcome.error,
    }


def _spread(found: Spread | None, band: Band) -> dict[str, Any] | None:
    """Milliseconds of every statistic, with its band."""
    if found is None:
        return None
    return {name: _banded(seconds * 1000, band) for name, seconds in asdict(found).items()}


def _banded(value: float, band: Band) -> dict[str, float]:
    low, high = band.around(value)
    return {"value": value, "low": low, "high": high}


def _point(point: PredictedPoint, usd_per_hour: float | None, bands: Bands) -> dict[str, Any]:
    found = point.figures
    rates = {
        "requests_per_s": found.requests_per_second,
        "output_tokens_per_s": found.output_tokens_per_s_completed,
        "output_tokens_per_s_all": found.output_tokens_per_s_all,
        "total_tokens_per_s": found.tokens_per_s_completed,
        "total_tokens_per_s_all": found.tokens_per_s_all,
    }
    return {
        "name": point.point.name,
        "label": point.point.label,
        "streams": point.point.streams,
        "rate": point.point.rate,
        "completed": found.completed,
        "incomplete": found.incomplete,
        "duration_s": _banded(found.duration_s, bands.throughput)
        if point.is_limited
        else {"value": found.duration_s, "low": found.duration_s, "high": found.duration_s},
        "ttft_ms": _spread(found.ttft, bands.ttft),
        "itl_ms": _spread(found.itl, bands.itl),
        "tpot_ms": _spread(found.tpot, bands.itl),
        "token_gap_ms": _spread(found.gap, bands.itl),
        "latency_ms": _spread(found.latency, bands.latency),
        "rates": {name: _banded(value, bands.throughput) for name, value in rates.items()},
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
        "usd_per_million_tokens_all": cost(usd_per_hour, found.tokens_per_s_all, found.completed),
        "usd_per_million_tokens_completed": cost(
            usd_per_hour, found.tokens_per_s_completed, found.completed
        ),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
