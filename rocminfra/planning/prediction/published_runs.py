"""Runs that others published, predicted as they were configured.

The runs are data (``benchmarks/published/``) and come in from outside. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rocminfra.planning.bench.points import Point
from rocminfra.planning.capacity.capacity import Serving
from rocminfra.planning.capacity.overhead import measured
from rocminfra.planning.engine.gpus import GPUS
from rocminfra.planning.engine.latency_constants import LatencyConstants
from rocminfra.planning.model.config import read_model
from rocminfra.planning.model.spec import ModelSpec
from rocminfra.planning.prediction.api_server import CHAT, COMPLETIONS, OFFLINE
from rocminfra.planning.prediction.point_figures import PointFigures
from rocminfra.planning.prediction.predict import Timing, Variant, predict_point
from rocminfra.planning.prediction.workload import ChatText, SyntheticText, Workload

GIB = 1024**3
SERVERS = {"chat": CHAT, "completions": COMPLETIONS, "offline": OFFLINE}
# Longer than any published run.
_SECONDS = 3_600.0


@dataclass(frozen=True)
class PublishedRun:
    """One run.

    + source, name: who published it, and which of theirs it is
    + variant: what served
    + point, workload, timing: how it was asked
    + figures: what was measured, by name; the name ends with its unit
    """

    source: str
    name: str
    variant: Variant
    point: Point
    workload: Workload
    timing: Timing
    figures: Mapping[str, float]


def published_runs(
    document: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]
) -> list[PublishedRun]:
    """The runs of one file of ``benchmarks/published/``.

    + models: ``models.yaml``: configurations by name
    """
    defaults = document.get("defaults") or {}
    found: list[PublishedRun] = []
    for given in document["runs"]:
        run = {**defaults, **given}
        requests = run["requests"]
        streams = run.get("concurrency", requests)
        point = Point("published", "concurrent", streams=streams)
        if "rate" in run:
            arrivals = run.get("arrivals", "poisson")
            point = Point("published", arrivals, rate=run["rate"], max_concurrency=streams)
        workload: Workload
        if run.get("lengths") == "sharegpt":
            workload = ChatText(
                run["input_tokens"], run["output_tokens"], run.get("most_output", 1_024)
            )
        else:
            workload = SyntheticText(
                round(run["input_tokens"]),
                round(run["output_tokens"]),
                0,
                prefix_share=run.get("prefix_hits", 0.0),
            )
        found.append(
            PublishedRun(
                source=document["source"],
                name=run["id"],
                variant=_variant(run, models[run["model"]]),
                point=point,
                workload=workload,
                timing=Timing(_SECONDS, 0.0, requests),
                figures=run["measured"],
            )
        )
    return found


def spec_of(run: Mapping[str, Any], config: Mapping[str, Any]) -> ModelSpec:
    """The model of a run; 8-bit weights leave embedding and output head as they are."""
    spec = read_model(config, run["model"])
    if run["dtype"] != "fp8":
        return spec
    kept = spec.embedding_parameters + spec.head_parameters
    quantized = {**config, "quantization_config": {"quant_method": "fp8"}}
    return read_model(quantized, run["model"], weights_bytes=spec.parameters + kept)


def serving_of(run: Mapping[str, Any]) -> Serving:
    """How the engine of a run was started."""
    overhead = run.get("overhead_gib")
    return Serving(
        utilization=run["utilization"],
        max_model_len=run["max_model_len"],
        max_num_seqs=run["max_num_seqs"],
        max_num_batched_tokens=run["max_num_batched_tokens"],
        kv_dtype_bytes=1 if run.get("kv_cache_dtype") == "fp8" else 2,
        overhead=None if overhead is None else measured(int(overhead * GIB)),
    )


def _variant(run: Mapping[str, Any], config: Mapping[str, Any]) -> Variant:
    return Variant(
        spec=spec_of(run, config),
        gpu=GPUS[run["gpu"]],
        serving=serving_of(run),
        tensor_parallel=run["count"],
        server=SERVERS[run["api"]],
        is_scheduled_ahead=run.get("scheduled_ahead", False),
    )


def predicted_figures(
    run: PublishedRun, constants: LatencyConstants | None = None
) -> dict[str, float | None]:
    """Every measured figure of a run as it is predicted; None where nothing came of it.

    + constants: instead of those of its GPU

    Raises as :func:`~rocminfra.planning.prediction.predict_point`.
    """
    variant = run.variant
    if constants is not None:
        variant = replace(variant, given_constants=constants)
    found = predict_point(variant, run.point, run.workload, run.timing).figures
    return {name: FIGURES[name](found) for name in run.figures}


def _ms(get: Callable[[PointFigures], float | None]) -> Callable[[PointFigures], float | None]:
    def milliseconds(figures: PointFigures) -> float | None:
        value = get(figures)
        return None if value is None else value * 1000

    return milliseconds


FIGURES: dict[str, Callable[[PointFigures], float | None]] = {
    "duration_s": lambda f: f.duration_s,
    "requests_per_s": lambda f: f.requests_per_second,
    "output_tokens_per_s": lambda f: f.output_tokens_per_s_completed,
    "total_tokens_per_s": lambda f: f.tokens_per_s_completed,
    "ttft_mean_ms": _ms(lambda f: None if f.ttft is None else f.ttft.mean),
    "ttft_median_ms": _ms(lambda f: None if f.ttft is None else f.ttft.median),
    "tpot_mean_ms": _ms(lambda f: None if f.tpot is None else f.tpot.mean),
    "itl_median_ms": _ms(lambda f: None if f.gap is None else f.gap.median),
    "latency_mean_ms": _ms(lambda f: None if f.latency is None else f.latency.mean),
    "latency_p99_ms": _ms(lambda f: None if f.latency is None else f.latency.p99),
}
