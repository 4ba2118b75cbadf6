"""A comparison for a terminal: what was configured differently first, the verdict last."""

from __future__ import annotations

from rocminfra.report.comparison.compare import Change, Comparison, PointComparison
from rocminfra.runner.output.report_text import aligned, seconds


def comparison_lines(comparison: Comparison) -> list[str]:
    """A comparison without its verdict."""
    where = f" on {comparison.host}" if comparison.host else ""
    lines = [f"{comparison.before} and then {comparison.after}{where}"]
    lines += [f"not comparable: {why}" for why in comparison.refusals]
    lines += [f"differs: {one.name}: {one.before} -> {one.after}" for one in comparison.differences]
    lines += [row for point in comparison.points for row in _point(point)]
    lines += [f"{key} was not compared: {why}" for key, why in comparison.skipped.items()]
    lines += [f"{key} is missing: {why}" for key, why in comparison.missing.items()]
    return lines


def _point(point: PointComparison) -> list[str]:
    rows = [("  " + change.title, *_cells(change)) for change in point.changes]
    return [point.label, *aligned(rows, left=(0, 5))] if rows else []


def _cells(change: Change) -> tuple[str, ...]:
    shown = seconds if change.unit == "s" else _rate
    return (
        shown(change.before),
        shown(change.after),
        "–" if change.change is None else f"{change.change:+.1%}",
        "" if change.band is None else f"±{change.band:.1%}",
        change.verdict,
    )


def _rate(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
