"""The typed contents of a report: what the page, the pictures, CSV and ``summary.json`` show.

Every figure is None where nothing was measured; nothing is filled in. Units are in the names.
"""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.report.point_report import Cost, PointReport

VERSION = 1


@dataclass(frozen=True)
class ProvenanceItem:
    """A line of the provenance box.

    + name: such as ``GPU``
    + value: text from the host: escape it
    """

    name: str
    value: str


@dataclass(frozen=True)
class Alternative:
    """Another node for the same work.

    + node: such as ``2 x H100-80GB``
    + usd_per_hour_low, usd_per_hour_high: price of the whole node
    + breakeven_tokens_per_s_low, …_high: throughput that it needs to cost the same a token
    + speedup_low, …_high: the same as a multiple of this run's throughput
    + known, assumed: sentences
    """

    node: str
    usd_per_hour_low: float
    usd_per_hour_high: float
    breakeven_tokens_per_s_low: float | None
    breakeven_tokens_per_s_high: float | None
    speedup_low: float | None
    speedup_high: float | None
    known: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class BreakEven:
    """How busy the node must be to cost less than something else a token.

    + against: such as ``2 x A100-80GB at $6.00 an hour``
    + utilization: share of the saturation's throughput, 0 to 1; above 1 means never
    """

    against: str
    utilization: float


@dataclass(frozen=True)
class Economics:
    """What the work costs.

    + usd_per_hour: of the settings, None where none was given
    + at_point: the point that the cost is taken from: the saturation
    + explanation: why the figures for all and for completed tokens differ
    """

    usd_per_hour: float | None
    at_point: str | None
    cost: Cost | None
    explanation: str
    alternatives: tuple[Alternative, ...] = ()
    break_even: tuple[BreakEven, ...] = ()


@dataclass(frozen=True)
class Knee:
    """The last load before latency rises faster than throughput.

    + point: name of the point
    + why: how it was found, in words
    """

    point: str
    why: str


@dataclass(frozen=True)
class SloSummary:
    """The reader's objectives over a host's points.

    + limits: such as ``("ttft_p95", 2.0)``; seconds
    + highest: name of the point with the highest load that meets all of them; None for none
    + text: the same in words
    """

    limits: tuple[tuple[str, float], ...]
    highest: str | None
    text: str


@dataclass(frozen=True)
class HostReport:
    """One host's part of a run.

    + verdict: the first sentence to read
    + valid, total: points; ``total`` includes those that never ran
    + is_valid: False when the host's figures may not be used: no price, no knee, no saturation
    + warnings: what to know before the figures are believed
    + saturation: name of the valid point with the most tokens a second
    + itl_floor_s: the weights read once at the GPU's bandwidth; None where unknown
    + itl_floor_source: how it was computed
    """

    host: str
    verdict: str
    is_valid: bool
    valid: int
    total: int
    scenario: str
    provenance: tuple[ProvenanceItem, ...]
    repeat: tuple[str, ...]
    points: tuple[PointReport, ...]
    warnings: tuple[str, ...] = ()
    knee: Knee | None = None
    saturation: str | None = None
    slo: SloSummary | None = None
    economics: Economics | None = None
    itl_floor_s: float | None = None
    itl_floor_source: str | None = None
    prediction_note: str | None = None

    def point(self, name: str | None) -> PointReport | None:
        """A point by name; None when there is none."""
        return next((point for point in self.points if point.name == name), None)


@dataclass(frozen=True)
class Report:
    """A whole run: one host or several.

    + run: its id, such as ``20260513T101500Z``
    + verdict: the first sentence of the report
    + is_valid: whether every host's is
    + made_at: when it ran, ISO 8601 in UTC; None where unknown
    + folder: name of the run's folder; where it is on the operator's machine is in no report
    """

    run: str
    verdict: str
    is_valid: bool
    hosts: tuple[HostReport, ...]
    made_at: str | None = None
    warnings: tuple[str, ...] = ()
    folder: str = ""
    version: int = VERSION
