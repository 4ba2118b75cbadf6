"""Two sides compared: what may not be, what was configured differently, what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rocminfra.report.comparison.noise import FLOOR_OF_REPETITIONS, band
from rocminfra.report.comparison.subject import BY_NAME, METRICS, Measured, Subject, Value

Verdict = Literal["better", "worse", "within noise", "missing"]
# Rates further apart than this are other loads.
SAME_RATE = 0.05


@dataclass(frozen=True)
class Change:
    """One figure.

    + before, after: None where it was not measured
    + change: relative; 0.1 means 10 % more
    + band: relative noise of the difference
    """

    name: str
    title: str
    unit: str
    before: float | None
    after: float | None
    change: float | None
    band: float | None
    verdict: Verdict


@dataclass(frozen=True)
class PointComparison:
    """The figures at one load."""

    key: str
    label: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Difference:
    """Something that was configured differently."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """Two sides.

    + refusals: why they are not comparable, a sentence each; empty when they are
    + skipped: loads that were not compared, by key, with the reason
    + missing: loads of the first side that the second one has no figures of, with the reason
    """

    before: str
    after: str
    host: str | None
    refusals: tuple[str, ...]
    differences: tuple[Difference, ...]
    points: tuple[PointComparison, ...]
    skipped: Mapping[str, str]
    missing: Mapping[str, str]

    def count(self, verdict: Verdict) -> int:
        """How many figures have a verdict."""
        return sum(change.verdict == verdict for point in self.points for change in point.changes)

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.refusals:
            return f"not comparable: {self.refusals[0]}"
        total = sum(len(point.changes) for point in self.points)
        if not total:
            return "nothing to compare: no load has valid figures on both sides"
        worse, better = self.count("worse"), self.count("better")
        if not worse and not better:
            return f"within noise: all {total} figures at {len(self.points)} loads"
        parts = [
            f"{count} {word}" for count, word in ((worse, "worse"), (better, "better")) if count
        ]
        return f"{', '.join(parts)}, of {total} figures at {len(self.points)} loads"


def compare(before: Subject, after: Subject) -> Comparison:
    """Compare two sides; whether they should be is in ``refusals``."""
    own = {point.key: point for point in after.points}
    points: list[PointComparison] = []
    skipped: dict[str, str] = {}
    missing: dict[str, str] = {}
    for point in before.points:
        other = own.get(point.key)
        if other is None:
            missing[point.key] = after.invalid.get(point.key, "it was not measured")
        elif _differ(point, other):
            skipped[point.key] = (
                f"another load: {point.rate_per_s:.3g} and {other.rate_per_s:.3g} requests/s"
            )
        else:
            changes = tuple(
                _change(metric.name, point.figures[metric.name], other.figures.get(metric.name))
                for metric in METRICS
                if metric.name in point.figures
            )
            points.append(PointComparison(point.key, point.label, changes))
    return Comparison(
        before=before.name,
        after=after.name,
        host=after.host,
        refusals=_refusals(before, after),
        differences=tuple(
            Difference(name, before.configuration[name], after.configuration[name])
            for name in before.configuration
            if name in after.configuration
            and before.configuration[name] != after.configuration[name]
        ),
        points=tuple(points),
        skipped=skipped,
        missing=missing,
    )


def _refusals(before: Subject, after: Subject) -> tuple[str, ...]:
    found = [
        f"{side.name} is not valid: {side.verdict}" for side in (before, after) if not side.is_valid
    ]
    found += [
        f"{name} is not the same: {before.same[name]} in {before.name}, "
        f"{after.same[name]} in {after.name}"
        for name in before.same
        if name in after.same and before.same[name] != after.same[name]
    ]
    return tuple(found)


def _differ(one: Measured, other: Measured) -> bool:
    if not one.rate_per_s or not other.rate_per_s:
        return False
    return abs(other.rate_per_s / one.rate_per_s - 1) > SAME_RATE


def _change(name: str, before: Value, after: Value | None) -> Change:
    metric = BY_NAME[name]
    head = (name, metric.title, metric.unit, before.value)
    if after is None:
        return Change(*head, None, None, None, "missing")
    is_repeated = min(before.repetitions, after.repetitions) > 1
    # Repetitions show the noise between runs as well.
    floor = FLOOR_OF_REPETITIONS if is_repeated else metric.floor
    noise = band(before.noise, after.noise, floor)
    if not before.value:
        return Change(*head, after.value, None, noise, "missing")
    change = after.value / before.value - 1
    verdict: Verdict = "within noise"
    if abs(change) > noise:
        verdict = "better" if (change > 0) == metric.higher_is_better else "worse"
    return Change(*head, after.value, change, noise, verdict)
