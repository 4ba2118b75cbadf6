"""What ``predict`` says about the points that were measured, where it knows GPU and model."""

from __future__ import annotations

from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.outcome_records import RunRecord
from rocminfra.planning.bench.points import Point
from rocminfra.planning.prediction.predict import Timing, Variant, predict_point
from rocminfra.planning.prediction.workload import ScannedPages, SyntheticText, Workload
from rocminfra.report.figures.provenance import known_gpu, known_model
from rocminfra.report.point_report import PointReport, Predicted


class NothingPredictedError(ValueError):
    """Why nothing is said; the message is a sentence."""


def predictor(job: JobRecord | None, run: RunRecord | None) -> tuple[Variant, Workload, Timing]:
    """What is predicted: the engine of the reference run's flags with the run's requests.

    Raises :class:`NothingPredictedError` where GPU, model or requests are not known.
    """
    gpu, spec = known_gpu(run), known_model(job)
    if gpu is None or job is None or run is None:
        raise NothingPredictedError("no prediction: the GPU is none whose figures are known")
    if spec is None:
        raise NothingPredictedError(f"no prediction: {job.model} is not known without the hub")
    scenario = job.scenario
    variant = Variant(spec=spec, gpu=gpu, tensor_parallel=len(run.provenance.gpus))
    data = scenario.data
    workload: Workload
    if data.get("kind") == "synthetic_text":
        workload = SyntheticText(
            int(data["prompt_tokens"]),
            int(data["output_tokens"]),
            prompt_stdev=float(data.get("prompt_tokens_stdev") or 0),
            output_stdev=float(data.get("output_tokens_stdev") or 0),
        )
    elif "docvqa" in str(data.get("source", "")).lower() and spec.vision is not None:
        workload = ScannedPages(spec.vision)
    else:
        raise NothingPredictedError("no prediction: the sizes of the requests are not known")
    timing = Timing(scenario.max_seconds, scenario.warmup_seconds, scenario.max_requests)
    return variant, workload, timing


def predicted(point: PointReport, engine: tuple[Variant, Workload, Timing]) -> Predicted | None:
    """The prediction for a point; None for one whose load is not known, or that cannot run."""
    load = point.load
    if load.profile == "unknown":
        return None
    asked = Point(
        point.name,
        load.profile,  # type: ignore[arg-type]
        load.streams,
        load.rate_per_s,
        load.max_concurrency,
    )
    try:
        found = predict_point(engine[0], asked, engine[1], engine[2]).figures
    except ValueError:
        return None
    if not found.completed:
        return None
    return Predicted(
        requests_per_s=found.requests_per_second,
        tokens_per_s=found.tokens_per_s_all,
        ttft_median_s=found.ttft_median_s,
        itl_median_s=found.itl_median_s,
        latency_median_s=None if found.latency is None else found.latency.median,
    )
