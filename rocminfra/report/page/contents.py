"""What stands on the page of a report: headline figures, tables, pictures, in their order."""

from __future__ import annotations

from dataclasses import dataclass

from rocminfra.report.charts.cost import cost_by_load, goodput
from rocminfra.report.charts.distribution import distribution
from rocminfra.report.charts.latency import latency_by_load, throughput_against_latency
from rocminfra.report.charts.phases import phases
from rocminfra.report.charts.picture import (
    Picture,
    Table,
    by_load,
    labels,
    rate_text,
    text,
    time_text,
)
from rocminfra.report.charts.predicted import predicted
from rocminfra.report.charts.timeline import timeline
from rocminfra.report.point_report import PointReport
from rocminfra.report.summary import Economics, HostReport, Report


@dataclass(frozen=True)
class Headline:
    """One large figure of the first screen.

    + detail: at which load, and what it means
    """

    name: str
    value: str
    detail: str


@dataclass(frozen=True)
class PointSection:
    """One point's part of the page.

    + tries: a sentence on each attempt; empty when there was one
    + figures: its own figures, by name
    """

    key: str
    name: str
    point: PointReport
    tries: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class HostSection:
    """One host's part of the page."""

    key: str
    host: HostReport
    headlines: tuple[Headline, ...]
    reasons: tuple[str, ...]
    figures: Table
    pictures: tuple[Picture, ...]
    points: tuple[PointSection, ...]
    alternatives: Table | None
    break_even: Table | None


def sections(report: Report) -> tuple[HostSection, ...]:
    """All hosts of a report.

    Raises :class:`FailedError` when the libraries that draw are not installed.
    """
    return tuple(_host(number, host) for number, host in enumerate(report.hosts, start=1))


def overview(host: HostReport, prefix: str = "") -> tuple[Picture, ...]:
    """The pictures over all points of a host.

    + prefix: of their keys, for a page with several hosts
    """
    return (
        throughput_against_latency(host, f"{prefix}throughput"),
        latency_by_load(host, f"{prefix}latency"),
        phases(host, f"{prefix}phases"),
        cost_by_load(host, f"{prefix}cost"),
        goodput(host, f"{prefix}goodput"),
        predicted(host, f"{prefix}predicted"),
    )


def _host(number: int, host: HostReport) -> HostSection:
    key = f"h{number}"
    points = by_load(host)
    names = labels(points)
    return HostSection(
        key=key,
        host=host,
        headlines=headlines(host),
        reasons=reasons(host),
        figures=figures_table(host),
        pictures=overview(host, f"{key}-"),
        points=tuple(
            _point(f"{key}-p{index}", names[point.name], point)
            for index, point in enumerate(points, start=1)
        ),
        alternatives=None if host.economics is None else _alternatives(host.economics),
        break_even=None if host.economics is None else _break_even(host.economics),
    )


def headlines(host: HostReport) -> tuple[Headline, ...]:
    """The first screen's figures; none of a host whose figures may not be used."""
    if not host.is_valid:
        return ()
    found: list[Headline] = []
    top = host.point(host.saturation)
    if top is not None and top.figures is not None:
        at = f"at {top.load.label}, the most of all valid points"
        if top.figures.tokens_per_s is not None:
            found.append(Headline("Tokens a second", text(top.figures.tokens_per_s, 0), at))
    calm = host.point(host.knee.point) if host.knee else top
    if calm is not None and calm.figures is not None:
        at = f"at {calm.load.label}" + (", the knee" if host.knee else "")
        figures = calm.figures
        if figures.requests_per_s is not None:
            found.append(Headline("Requests a second", rate_text(figures.requests_per_s), at))
        for name, latency in (
            ("Time to first token", figures.ttft_s),
            ("Time between tokens", figures.itl_s),
        ):
            if latency.median is not None:
                detail = f"median {at}; p95 {time_text(latency.p95)}"
                found.append(Headline(name, time_text(latency.median), detail))
    cost = host.economics.cost if host.economics else None
    if cost is not None and cost.usd_per_million_tokens is not None and host.economics is not None:
        strict = cost.usd_per_million_completed_tokens
        detail = f"all tokens, at ${text(host.economics.usd_per_hour)} an hour"
        if strict is not None:
            detail += f"; ${strict:,.3f} for completed requests only"
        found.append(Headline("A million tokens", f"${cost.usd_per_million_tokens:,.3f}", detail))
    return tuple(found)


def reasons(host: HostReport) -> tuple[str, ...]:
    """Why points are not valid, each reason once with the loads that it concerns."""
    names = labels(by_load(host))
    found: dict[str, list[str]] = {}
    for point in by_load(host):
        for reason in point.reasons:
            found.setdefault(reason, []).append(names[point.name])
    return tuple(f"{', '.join(loads)}: {reason}" for reason, loads in found.items())


def figures_table(host: HostReport) -> Table:
    """All points with their figures, invalid ones by their outcome."""
    points = by_load(host)
    names = labels(points)
    headings = (
        *("load", "outcome", "done", "failed", "cut off", "requests/s", "tokens/s"),
        *("TTFT median", "TTFT p95", "ITL median", "ITL p95", "KV max", "$/M tokens"),
    )
    rows: list[tuple[str, ...]] = []
    for point in points:
        start = (names[point.name], point.outcome)
        figures = point.figures
        if figures is None:
            rows.append((*start, *("–",) * 11))
            continue
        usage = figures.kv_usage_max
        rows.append(
            (
                *start,
                *(f"{n:,}" for n in (figures.completed, figures.errored, figures.incomplete)),
                rate_text(figures.requests_per_s),
                text(figures.tokens_per_s, 0),
                *(time_text(figures.ttft_s.median), time_text(figures.ttft_s.p95)),
                *(time_text(figures.itl_s.median), time_text(figures.itl_s.p95)),
                "–" if usage is None else f"{usage:.1%}",
                text(None if point.cost is None else point.cost.usd_per_million_tokens, 3),
            )
        )
    return Table("All points, from the lightest load to the heaviest", headings, tuple(rows))


def _point(key: str, name: str, point: PointReport) -> PointSection:
    tries: tuple[str, ...] = ()
    if len(point.attempts) > 1:
        tries = tuple(
            f"Attempt {each.number}: {each.why or 'went through'} "
            f"({each.verdict}, {time_text(each.seconds)})."
            for each in point.attempts
        )
    return PointSection(
        key=key,
        name=name,
        point=point,
        tries=tries,
        figures=_own_figures(point),
        pictures=(timeline(point, f"{key}-time"), distribution(point, f"{key}-requests")),
    )


def _own_figures(point: PointReport) -> tuple[tuple[str, str], ...]:
    figures = point.figures
    if figures is None:
        return ()
    energy = point.energy
    rows = (
        ("requests completed", f"{figures.completed:,}"),
        ("requests a second", rate_text(figures.requests_per_s)),
        ("tokens a second, all", _shown(figures.tokens_per_s, "", 0)),
        ("tokens a second, completed", _shown(figures.completed_tokens_per_s, "", 0)),
        ("measured window", time_text(figures.duration_s)),
        ("prompt, median", _shown(figures.prompt_tokens_median, " tokens", 0)),
        ("answer, median", _shown(figures.output_tokens_median, " tokens", 0)),
        ("image, mean", _megapixels(figures.image_pixels_mean)),
        ("mean concurrency", _shown(figures.concurrency_mean, "", 1)),
        ("preemptions", _shown(figures.preemptions, "", 0)),
        ("mean power", _shown(figures.power_mean_w, " W", 0)),
        ("joules a token", _shown(None if energy is None else energy.joules_per_token, "")),
    )
    return tuple(row for row in rows if row[1] != "–")


def _shown(value: float | None, unit: str, digits: int = 2) -> str:
    return "–" if value is None else f"{value:,.{digits}f}{unit}"


def _megapixels(pixels: float | None) -> str:
    return "–" if pixels is None else f"{pixels / 1e6:,.2f} megapixels"


def _alternatives(economics: Economics) -> Table | None:
    if not economics.alternatives:
        return None
    headings = ("node", "$/h", "tokens/s to break even", "of this run", "known", "assumed")
    rows = tuple(
        (
            each.node,
            _range(each.usd_per_hour_low, each.usd_per_hour_high, 2),
            _range(each.breakeven_tokens_per_s_low, each.breakeven_tokens_per_s_high, 0),
            f"{_range(each.speedup_low, each.speedup_high, 1)} ×",
            " ".join(each.known) or "–",
            " ".join(each.assumed) or "–",
        )
        for each in economics.alternatives
    )
    return Table("Other nodes for the same work", headings, rows)


def _break_even(economics: Economics) -> Table | None:
    if not economics.break_even:
        return None
    rows = tuple(
        (each.against, "never" if each.utilization > 1 else f"{each.utilization:.0%} busy")
        for each in economics.break_even
    )
    return Table("This node is cheaper a token from", ("against", "when it is at least"), rows)


def _range(low: float | None, high: float | None, digits: int) -> str:
    if low is None or high is None or low == high:
        return text(high if low is None else low, digits)
    return f"{text(low, digits)} to {text(high, digits)}"
