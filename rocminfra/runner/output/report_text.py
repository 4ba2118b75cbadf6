"""A report for a terminal: verdict last, what to know before it first."""

from __future__ import annotations

from rocminfra.report.history import History
from rocminfra.report.point_report import PointReport
from rocminfra.report.summary import HostReport, Report

_HEADINGS = (
    *("", "requests/s", "tokens/s", "TTFT p95", "ITL p50", "end to end p95"),
    *("$/M tokens", "J/token"),
)


def report_lines(report: Report) -> list[str]:
    """The points, and what to know before they are believed; without the verdict."""
    lines: list[str] = []
    for host in report.hosts:
        if len(report.hosts) > 1:
            lines += [f"{host.host}:"]
        lines += _points(host)
        for point in host.points:
            lines += [f"{point.load.label} is {point.outcome}: {one}" for one in point.reasons]
        lines += [f"note: {warning}" for warning in host.warnings]
        if host.knee is not None:
            lines.append(f"knee: {host.knee.why}")
        if host.economics is not None:
            lines.append(f"price: {host.economics.explanation}")
    lines += [f"note: {warning}" for warning in report.warnings]
    return lines


def history_lines(history: History) -> list[str]:
    """One line a run and host, oldest first."""
    rows = [
        (
            line.run,
            line.host,
            line.scenario,
            f"{line.valid} of {line.total}",
            "–" if line.tokens_per_s is None else f"{line.tokens_per_s:,.0f}",
            "–" if line.usd_per_million_tokens is None else f"{line.usd_per_million_tokens:.3f}",
            "" if line.is_valid else "INVALID",
        )
        for line in history.lines
    ]
    headings = ("run", "host", "scenario", "valid", "tokens/s", "$/M tokens", "")
    return aligned([headings, *rows], left=(0, 1, 2, 6))


def seconds(value: float | None) -> str:
    """A time with its unit."""
    if value is None:
        return "–"
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def aligned(rows: list[tuple[str, ...]], left: tuple[int, ...] = (0,)) -> list[str]:
    """Rows as lines of a table."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _points(host: HostReport) -> list[str]:
    return aligned([_HEADINGS, *(_row(point) for point in host.points)])


def _row(point: PointReport) -> tuple[str, ...]:
    figures = point.figures
    if figures is None or not point.is_valid:
        return (f"{point.load.label}  {point.outcome.upper()}", *["–"] * (len(_HEADINGS) - 1))
    usd = None if point.cost is None else point.cost.usd_per_million_tokens
    joules = None if point.energy is None else point.energy.joules_per_token
    return (
        point.load.label,
        _number(figures.requests_per_s, 2),
        _number(figures.tokens_per_s, 0),
        seconds(figures.ttft_s.p95),
        seconds(figures.itl_s.median),
        seconds(figures.latency_s.p95),
        _number(usd, 3),
        _number(joules, 3),
    )


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
