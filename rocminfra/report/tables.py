"""A report as CSV and as Markdown, for a spreadsheet and for a pull request."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence

from rocminfra.report.point_report import PointReport
from rocminfra.report.summary import HostReport, Report

Column = tuple[str, Callable[[PointReport], object]]


def _figure(name: str) -> Callable[[PointReport], object]:
    return lambda point: None if point.figures is None else getattr(point.figures, name)


def _percentile(metric: str, name: str) -> Callable[[PointReport], object]:
    return lambda point: (
        None if point.figures is None else getattr(getattr(point.figures, metric), name)
    )


def _cost(name: str) -> Callable[[PointReport], object]:
    return lambda point: None if point.cost is None else getattr(point.cost, name)


COLUMNS: tuple[Column, ...] = (
    ("point", lambda point: point.name),
    ("load", lambda point: point.load.label),
    ("profile", lambda point: point.load.profile),
    ("streams", lambda point: point.load.streams),
    ("rate_per_s", lambda point: point.load.rate_per_s),
    ("outcome", lambda point: point.outcome),
    ("reasons", lambda point: "; ".join(point.reasons)),
    ("attempts", lambda point: len(point.attempts)),
    *((name, _figure(name)) for name in ("completed", "errored", "incomplete", "duration_s")),
    *(
        (name, _figure(name))
        for name in (
            *("requests_per_s", "tokens_per_s", "completed_tokens_per_s"),
            "output_tokens_per_s",
        )
    ),
    *(
        (f"{metric.removesuffix('_s')}_{name}_s", _percentile(metric, name))
        for metric in ("ttft_s", "itl_s", "latency_s")
        for name in ("median", "p95", "p99")
    ),
    *(
        (name, _cost(name))
        for name in (
            *("usd_per_million_tokens", "usd_per_million_output_tokens"),
            *("usd_per_million_completed_tokens", "requests_per_usd"),
        )
    ),
    (
        "joules_per_token",
        lambda point: None if point.energy is None else point.energy.joules_per_token,
    ),
    *((name, _figure(name)) for name in ("kv_usage_max", "preemptions", "power_mean_w")),
    ("goodput_per_s", lambda point: None if point.slo is None else point.slo.goodput_per_s),
)
# A spreadsheet runs a cell that begins like this.
_FORMULA = re.compile(r"^[=+\-@\t\r]")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&])")


def csv_text(report: Report) -> str:
    """One line a point, one column a figure; an empty cell where nothing was measured."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run", "host", *(name for name, _ in COLUMNS)])
    for host in report.hosts:
        for point in host.points:
            values = [_cell(get(point)) for _, get in COLUMNS]
            writer.writerow([_cell(report.run), _cell(host.host), *values])
    return out.getvalue()


def markdown_text(report: Report, pictures: Sequence[tuple[str, str]] = ()) -> str:
    """For a pull request or a step summary.

    + pictures: title and file of each
    """
    lines = [f"## Benchmark {escaped(report.run)}", "", f"**{escaped(report.verdict)}**", ""]
    for warning in report.warnings:
        lines.append(f"- {escaped(warning)}")
    for host in report.hosts:
        lines += _host_lines(host)
    for title, file in pictures:
        lines += ["", f"![{escaped(title)}]({file})"]
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    """Text from a host, as Markdown shows it and nothing else."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _host_lines(host: HostReport) -> list[str]:
    lines = [f"### {escaped(host.host)}", ""]
    lines += [f"- {escaped(item.name)}: {escaped(item.value)}" for item in host.provenance]
    lines.append("")
    if host.warnings:
        lines += ["Before you believe it:", ""]
        lines += [f"- {escaped(warning)}" for warning in host.warnings]
        lines.append("")
    lines += [
        "| load | outcome | requests/s | tokens/s | TTFT p50 / p95 | ITL p50 / p95 | "
        "end to end p50 / p95 | $/M tokens |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [_row(point) for point in host.points]
    lines.append("")
    for point in host.points:
        lines += [
            f"- {escaped(point.load.label)} is {point.outcome}: {escaped(reason)}"
            for reason in point.reasons
        ]
    if host.knee is not None:
        lines.append(f"- Knee: {escaped(host.knee.why)}")
    if host.economics is not None:
        lines.append(f"- Price: {escaped(host.economics.explanation)}")
    if host.repeat:
        lines += ["", "To repeat it:", "", "```", *host.repeat, "```"]
    return lines


def _row(point: PointReport) -> str:
    figures = point.figures
    cells = [escaped(point.load.label), point.outcome]
    if figures is None or not point.is_valid:
        # What is not valid is in summary.json; a table is what gets copied.
        return "| " + " | ".join([*cells, *["–"] * 6]) + " |"
    cells += [_number(figures.requests_per_s, 3), _number(figures.tokens_per_s, 5)]
    for found in (figures.ttft_s, figures.itl_s, figures.latency_s):
        cells.append(f"{_seconds(found.median)} / {_seconds(found.p95)}")
    usd = None if point.cost is None else point.cost.usd_per_million_tokens
    cells.append("–" if usd is None else f"{usd:.3f}")
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def _cell(value: object) -> object:
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return "" if value is None else value
