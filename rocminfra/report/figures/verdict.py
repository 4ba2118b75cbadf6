"""The first sentence of a report: what was found, or that nothing may be believed."""

from __future__ import annotations

from collections.abc import Sequence

from rocminfra.report.point_report import PointReport
from rocminfra.report.summary import Economics, SloSummary

# Of the planned points, what must be valid before a price, a knee or a saturation is named.
LEAST_VALID = 0.5
_SHOWN_REASON = 160


def is_believable(valid: int, total: int) -> bool:
    """Whether enough points are valid for anything to follow from them together."""
    return valid > 0 and valid >= LEAST_VALID * total


def verdict(
    points: Sequence[PointReport],
    total: int,
    slo: SloSummary | None,
    economics: Economics | None,
) -> str:
    """One sentence.

    + points: with those that never ran
    + total: planned points
    """
    valid = sum(point.is_valid for point in points)
    counted = f"valid: {valid} of {total} points"
    if not is_believable(valid, total):
        return f"INVALID: {_counted_invalid(points, valid, total)}"
    parts = [] if slo is None else [slo.text]
    usd = None
    if economics is not None and economics.cost is not None:
        usd = economics.cost.usd_per_million_tokens
    if usd is not None:
        parts.append(f"{dollars(usd)} a million tokens at saturation")
    parts.append(counted)
    return "; ".join(parts)


def dollars(usd: float) -> str:
    """A price: cents, and more digits below ten of them."""
    return f"${usd:,.2f}" if usd >= 0.1 else f"${usd:.3g}"


def _counted_invalid(points: Sequence[PointReport], valid: int, total: int) -> str:
    if not total:
        return "the run has no points"
    text = f"only {valid} of {total} points are valid" if valid else "no point is valid"
    first = next((point for point in points if point.reasons and not point.is_valid), None)
    if first is None:
        return text
    reason = " ".join(first.reasons[0].split())
    if len(reason) > _SHOWN_REASON:
        reason = f"{reason[: _SHOWN_REASON - 1]}…"
    return f"{text}; {first.load.label}: {reason}"
