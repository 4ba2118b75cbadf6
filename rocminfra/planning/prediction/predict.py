"""A whole benchmark scenario in virtual time, on any engine, GPU and number of replicas.

Standard library only, no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rocminfra.planning.bench.points import Finished, Outcome, Point, Stage, next_points
from rocminfra.planning.capacity.capacity import Capacity, Serving, capacity
from rocminfra.planning.capacity.overhead import GIB
from rocminfra.planning.engine.core import EngineCore
from rocminfra.planning.engine.gpus import MI300X, Gpu
from rocminfra.planning.engine.latency import LatencyModel
from rocminfra.planning.engine.latency_constants import LatencyConstants, constants_of
from rocminfra.planning.engine.request import Request
from rocminfra.planning.engine.scheduler import SchedulerConfig
from rocminfra.planning.model.spec import ModelSpec
from rocminfra.planning.prediction.api_server import CHAT, ApiServer
from rocminfra.planning.prediction.point_figures import PointFigures, figures
from rocminfra.planning.prediction.virtual_run import Load, Trace, run
from rocminfra.planning.prediction.workload import Workload


class DoesNotFitError(ValueError):
    """The model does not fit, so there is no engine to predict."""


@dataclass(frozen=True)
class Variant:
    """The system to predict.

    + spec, gpu, serving: which engine
    + tensor_parallel: GPUs of one engine
    + replicas: engines side by side, with the requests dealt out evenly
    + given_constants: what is reached of the GPU's peaks; None takes what is known of the GPU
    + server: what stands between client and engine
    + is_scheduled_ahead: as :func:`~rocminfra.planning.prediction.virtual_run.run`
    """

    spec: ModelSpec
    gpu: Gpu = MI300X
    serving: Serving = field(default_factory=Serving)
    tensor_parallel: int = 1
    replicas: int = 1
    given_constants: LatencyConstants | None = None
    server: ApiServer = CHAT
    is_scheduled_ahead: bool = True

    @property
    def constants(self) -> LatencyConstants:
        """The constants that count."""
        if self.given_constants is not None:
            return self.given_constants
        return constants_of(self.gpu).constants


@dataclass(frozen=True)
class Timing:
    """Duration of a point.

    + seconds: total, including warm-up
    + warmup_s: excluded from the figures
    + most_requests: requests after which a point ends, None without a limit
    """

    seconds: float
    warmup_s: float = 0.0
    most_requests: int | None = None


@dataclass(frozen=True)
class PredictedPoint:
    """One point of a scenario, with a trace for every replica.

    + is_limited: whether the number of its requests ends it, and not time
    """

    point: Point
    figures: PointFigures
    traces: tuple[Trace, ...]
    is_limited: bool = False


def predict(
    variant: Variant, stages: Sequence[Stage], workload: Workload, timing: Timing
) -> tuple[PredictedPoint, ...]:
    """Predict all points of a scenario. A sweep's rates follow from its first two points.

    Raises :class:`DoesNotFitError`, ``PredictionUnsupportedError`` for a model whose latency is
    not modelled, and ValueError for requests that the engine could never serve.
    """
    config = scheduler_config(variant)
    latency = _latency(variant)
    done: list[PredictedPoint] = []
    finished: dict[str, Finished] = {}
    while points := next_points(stages, finished):
        for point in points:
            predicted = _predict_point(variant, point, workload, timing, config, latency)
            done.append(predicted)
            rate = predicted.figures.requests_per_second
            outcome: Outcome = "valid" if predicted.figures.completed else "invalid"
            finished[point.name] = Finished(point.name, outcome, rate)
    return tuple(done)


def predict_point(
    variant: Variant, point: Point, workload: Workload, timing: Timing
) -> PredictedPoint:
    """Predict a single point; raises like :func:`predict`."""
    latency = _latency(variant)
    return _predict_point(variant, point, workload, timing, scheduler_config(variant), latency)


def scheduler_config(variant: Variant) -> SchedulerConfig:
    """The scheduler's limits, with the KV blocks from capacity planning.

    Raises :class:`DoesNotFitError`.
    """
    planned = capacity(variant.spec, variant.gpu, variant.serving, variant.tensor_parallel)
    if not planned.may_fit:
        missing = f"{-planned.headroom_bytes / GIB:.1f} GiB per GPU are missing"
        raise DoesNotFitError(
            f"{variant.spec.name} does not fit {variant.tensor_parallel} x {variant.gpu.name}: "
            f"{planned.refused or missing}"
        )
    serving = variant.serving
    vision = variant.spec.vision
    largest = 0
    if vision is not None:
        pixels = serving.max_pixels or vision.max_pixels
        largest = pixels // (vision.patch * vision.merge) ** 2
    return SchedulerConfig(
        num_gpu_blocks=max(2, expected_blocks(planned)),
        block_size=serving.block_size,
        max_num_seqs=serving.max_num_seqs,
        max_num_batched_tokens=serving.max_num_batched_tokens,
        max_model_len=serving.max_model_len,
        encoder_tokens=max(serving.max_num_batched_tokens, largest),
    )


def expected_blocks(planned: Capacity) -> int:
    """Blocks that the engine most likely has; the worst case says whether it starts at all."""
    return max(0, planned.kv_bytes_expected) // planned.block_bytes


def _latency(variant: Variant) -> LatencyModel:
    shape = variant.spec.shape(variant.serving.kv_dtype_bytes, variant.tensor_parallel)
    return LatencyModel(
        shape,
        variant.gpu,
        variant.constants,
        variant.tensor_parallel,
        variant.is_scheduled_ahead,
    )


@dataclass(frozen=True)
class _Share:
    """One replica's share: every ``step``-th request of a workload, starting at ``first``."""

    whole: Workload
    first: int
    step: int

    def request(self, number: int) -> Request:
        return self.whole.request(self.first + number * self.step)

    def pixels(self, number: int) -> int:
        return self.whole.pixels(self.first + number * self.step)


def _predict_point(
    variant: Variant,
    point: Point,
    workload: Workload,
    timing: Timing,
    config: SchedulerConfig,
    latency: LatencyModel,
) -> PredictedPoint:
    traces: list[Trace] = []
    for replica in range(variant.replicas):
        load = _load(point, timing, replica, variant.replicas)
        if load.streams < 1:
            # No requests are left for this replica or any later one.
            break
        share = _Share(workload, replica, variant.replicas)
        core = EngineCore(config, latency)
        traces.append(
            run(
                core,
                share,
                load,
                timing.seconds,
                variant.server,
                warmup_s=timing.warmup_s,
                is_scheduled_ahead=variant.is_scheduled_ahead,
            )
        )
    is_limited = all(trace.ended is not None for trace in traces)
    return PredictedPoint(point, figures(traces, timing.warmup_s), tuple(traces), is_limited)


def _load(point: Point, timing: Timing, replica: int, replicas: int) -> Load:
    """The load on one replica."""
    if point.kind == "synchronous":
        total = 1
    elif point.streams is not None:
        total = point.streams
    else:
        total = point.max_concurrency or 512
    streams = total // replicas + (replica < total % replicas)
    most = timing.most_requests
    if most is not None:
        most = most // replicas + (replica < most % replicas)
    rate = None if point.rate is None else point.rate / replicas
    return Load(streams, rate, point.kind == "poisson", most)
