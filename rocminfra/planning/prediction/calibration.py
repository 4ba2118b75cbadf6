"""Calibrate the constants of the latency model on a measured run instead of published figures.

Two figures of the least loaded point are used: with one request at a time, the time between tokens
determines the share of the bandwidth, and the time to first token the share of the peak. A run
without such a point only calibrates the share of the peak, on its time between tokens. All other
measurements are held out for comparison. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rocminfra.planning.bench.points import Point
from rocminfra.planning.engine.model_shape import VisionShape
from rocminfra.planning.prediction.predict import PredictedPoint, Timing, Variant, predict_point
from rocminfra.planning.prediction.published import CALIBRATED, HELD_OUT, Comparison
from rocminfra.planning.prediction.workload import ScannedPages, SyntheticText, Workload

_LEAST, _MOST = 0.02, 1.0
# Each step halves the interval of the logarithm; 25 steps reduce it to less than a millionth.
_HALVINGS = 25


class CalibrationError(ValueError):
    """No constants explain the run; the message names the figure."""


@dataclass(frozen=True)
class Measured:
    """One point of a measured run.

    + point: which
    + timing: its duration
    + prompt_tokens, output_tokens: medians of a completed request
    + pixels: pixels of a request's image, None without one
    + ttft_s, itl_s: medians; None if not measured
    """

    point: Point
    timing: Timing
    prompt_tokens: int
    output_tokens: int
    pixels: float | None
    ttft_s: float | None
    itl_s: float | None


@dataclass(frozen=True)
class Calibration:
    """The result of a calibration.

    + variant: with the new constants
    + comparisons: every measured latency with its prediction
    """

    variant: Variant
    comparisons: tuple[Comparison, ...]


def calibrate(variant: Variant, measured: Sequence[Measured]) -> Calibration:
    """Find constants with which the prediction matches the least loaded point of ``measured``.

    Raises :class:`CalibrationError` if there is no point to calibrate on, or if a measured figure
    is better than the GPU's published peaks allow.
    """
    usable = [point for point in measured if point.itl_s is not None and point.output_tokens > 1]
    if not usable:
        raise CalibrationError("no valid point of the run has a time between tokens")
    base = min(usable, key=_load)
    used: dict[str, str] = {}
    if base.point.kind == "synchronous" or base.point.streams == 1:
        variant = _solved(variant, base, "bandwidth_fraction", base.itl_s, _itl)
        used["ITL median"] = "bandwidth_fraction"
        if base.ttft_s is not None:
            variant = _solved(variant, base, "compute_fraction", base.ttft_s, _ttft)
            used["TTFT median"] = "compute_fraction"
    else:
        variant = _solved(variant, base, "compute_fraction", base.itl_s, _itl)
        used["ITL median"] = "compute_fraction"
    rows: list[Comparison] = []
    for point in usable:
        predicted = _predicted(variant, point)
        for name, value, get in (
            ("TTFT median", point.ttft_s, _ttft),
            ("ITL median", point.itl_s, _itl),
        ):
            if value is None:
                continue
            constant = used.get(name) if point is base else None
            rows.append(
                Comparison(
                    name=f"{point.point.label}: {name}",
                    unit="ms",
                    published=value * 1000,
                    predicted=(get(predicted) or 0.0) * 1000,
                    role=HELD_OUT if constant is None else CALIBRATED,
                    constant=constant,
                )
            )
    return Calibration(variant, tuple(rows))


def _load(measured: Measured) -> float:
    point = measured.point
    if point.kind == "synchronous":
        return 1.0
    return float(point.streams or point.max_concurrency or 512) + (point.rate or 0.0)


def _solved(
    variant: Variant,
    measured: Measured,
    constant: str,
    target: float | None,
    get: Callable[[PredictedPoint], float | None],
) -> Variant:
    """``variant`` with the share of a peak at which ``get`` returns ``target``. A larger share
    means a shorter time."""
    if target is None:
        raise CalibrationError(f"nothing measured for {constant}")

    def with_share(share: float) -> Variant:
        return replace(variant, given_constants=replace(variant.constants, **{constant: share}))

    def seconds(share: float) -> float:
        value = get(_predicted(with_share(share), measured))
        # Nothing completed in time: slower than any measurement.
        return math.inf if value is None else value

    if seconds(_MOST) > target * 1.001:
        raise CalibrationError(
            f"{measured.point.label}: {target * 1000:.1f} ms is less than the published peak of "
            f"{variant.gpu.name} allows ({seconds(_MOST) * 1000:.1f} ms at {constant} 1); is it "
            "a different GPU or model, or the practice droplet with a time scale?"
        )
    low, high = math.log(_LEAST), math.log(_MOST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if seconds(math.exp(middle)) > target:
            low = middle
        else:
            high = middle
    return with_share(math.exp(high))


def _predicted(variant: Variant, measured: Measured) -> PredictedPoint:
    return predict_point(variant, measured.point, _workload(variant, measured), measured.timing)


def _workload(variant: Variant, measured: Measured) -> Workload:
    if measured.pixels is None:
        return SyntheticText(measured.prompt_tokens, measured.output_tokens, 0)
    vision: VisionShape | None = variant.spec.vision
    if vision is None:
        raise CalibrationError(f"{variant.spec.name} takes no images, but the run sent some")
    return ScannedPages(
        vision,
        variant.serving.max_pixels,
        median_pixels=measured.pixels,
        output_median=measured.output_tokens,
    )


def _ttft(predicted: PredictedPoint) -> float | None:
    return predicted.figures.ttft_median_s


def _itl(predicted: PredictedPoint) -> float | None:
    return predicted.figures.itl_median_s
