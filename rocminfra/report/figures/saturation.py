"""Where a run saturates, and its knee before that."""

from __future__ import annotations

from collections.abc import Sequence

from rocminfra.report.point_report import PointReport
from rocminfra.report.summary import Knee

# Fewer say nothing about the shape of a curve.
LEAST_POINTS = 3


def saturation(points: Sequence[PointReport]) -> PointReport | None:
    """The valid point with the most tokens a second; the earlier one of equals."""
    best: tuple[float, PointReport] | None = None
    for point in points:
        rate = None if point.figures is None else point.figures.tokens_per_s
        if point.is_valid and rate and (best is None or rate > best[0]):
            best = (rate, point)
    return None if best is None else best[1]


def knee(points: Sequence[PointReport]) -> Knee | None:
    """The load at which requests a second, divided by the median latency, is highest.

    Kleinrock's "power" (Power and deterministic rules of thumb for probabilistic problems in
    computer communications, ICC 1979): beyond it latency rises faster than throughput. None with
    fewer than three valid points, and when no load waited longer than the one with the most power:
    then the knee lies above what was measured.
    """
    measured = [
        (point.figures.requests_per_s, point.figures.latency_s.median, point)
        for point in points
        if point.is_valid
        and point.figures is not None
        and point.figures.requests_per_s
        and point.figures.latency_s.median
    ]
    if len(measured) < LEAST_POINTS:
        return None
    rate, latency, point = max(measured, key=lambda one: one[0] / one[1])
    if latency >= max(waited for _, waited, _ in measured):
        return None
    return Knee(
        point.name,
        f"requests a second divided by median latency is highest at {point.load.label} "
        f"({rate:.3g} requests/s in {latency:.3g} s); beyond it latency rises faster than "
        "throughput",
    )
