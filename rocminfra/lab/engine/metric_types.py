"""Gauges, counters and histograms in Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence


def labels_text(labels: Mapping[str, str]) -> str:
    """``{name="value",…}``; empty for no labels."""
    if not labels:
        return ""
    pairs = (
        f'{name}="{value}"'
        for name, value in (
            (name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n"))
            for name, value in labels.items()
        )
    )
    return "{" + ",".join(pairs) + "}"


def number_text(value: float) -> str:
    """A number as prometheus_client writes it."""
    if value == float("inf"):
        return "+Inf"
    return repr(float(value))


class Metric:
    """A metric: name, help text and samples.

    + name: with its prefix; a counter's without ``_total``
    + documentation: help text
    + labels: the same for all samples
    """

    kind = "untyped"

    def __init__(self, name: str, documentation: str, labels: Mapping[str, str]) -> None:
        self.name = name
        self.documentation = documentation
        self.labels = dict(labels)

    def render(self) -> list[str]:
        """Lines of the exposition."""
        return [
            f"# HELP {self.exposed_name} {self.documentation}",
            f"# TYPE {self.exposed_name} {self.kind}",
            *self.samples(),
        ]

    @property
    def exposed_name(self) -> str:
        """Name in the HELP and TYPE lines."""
        return self.name

    def samples(self) -> list[str]:
        """The lines with values."""
        raise NotImplementedError


class Gauge(Metric):
    """A value, or one per value of ``split``."""

    kind = "gauge"

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Mapping[str, str],
        split: tuple[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(name, documentation, labels)
        self._split = None if split is None else split[0]
        self.values = dict.fromkeys([""] if split is None else split[1], 0.0)

    def set(self, value: float, part: str = "") -> None:
        """Set the value, of ``part`` if the metric is split."""
        self.values[part] = float(value)

    def add(self, value: float = 1.0, part: str = "") -> None:
        """Add to the value."""
        self.values[part] += value

    def samples(self) -> list[str]:
        """One line a value."""
        return [
            f"{self.exposed_name}{labels_text(self._labels_of(part))} {number_text(value)}"
            for part, value in self.values.items()
        ]

    def _labels_of(self, part: str) -> dict[str, str]:
        return self.labels if self._split is None else {**self.labels, self._split: part}


class Counter(Gauge):
    """A value that only increases."""

    kind = "counter"

    @property
    def exposed_name(self) -> str:
        """prometheus_client puts ``_total`` after a counter's name."""
        return f"{self.name}_total"


class Histogram(Metric):
    """The distribution of observed values.

    + buckets: upper bounds, ascending, without infinity
    """

    kind = "histogram"

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Mapping[str, str],
        buckets: Sequence[float],
    ) -> None:
        super().__init__(name, documentation, labels)
        self._bounds = tuple(buckets)
        self._counts = [0] * (len(self._bounds) + 1)
        self.sum = 0.0

    @property
    def count(self) -> int:
        """Values seen."""
        return sum(self._counts)

    def observe(self, value: float, times: int = 1) -> None:
        """Record ``value``, ``times`` times."""
        self._counts[bisect_left(self._bounds, value)] += times
        self.sum += value * times

    def samples(self) -> list[str]:
        """Cumulative buckets, count and sum."""
        lines: list[str] = []
        seen = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            seen += count
            labels = labels_text({**self.labels, "le": number_text(bound)})
            lines.append(f"{self.name}_bucket{labels} {number_text(seen)}")
        own = labels_text(self.labels)
        lines.append(f"{self.name}_count{own} {number_text(seen)}")
        lines.append(f"{self.name}_sum{own} {number_text(self.sum)}")
        return lines


def one_two_five(largest: int) -> tuple[int, ...]:
    """1, 2, 5, 10, 20, 50 … up to ``largest``."""
    bounds: list[int] = []
    power = 1
    while power <= largest:
        bounds.extend(factor * power for factor in (1, 2, 5) if factor * power <= largest)
        power *= 10
    return tuple(bounds)
