"""The table of a run, read from its results folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rocminfra.planning.bench.job_record import JobRecord
from rocminfra.planning.bench.manifest import PARTIAL
from rocminfra.planning.bench.outcome_records import PointRecord, RunRecord
from rocminfra.planning.bench.records import read
from rocminfra.planning.cost import usd_per_million_tokens
from rocminfra.report import stages

HEADINGS = (
    *("host", "point", "ok", "err", "inc", "TTFT p50 ms", "ITL p50 ms"),
    *("tok/s all", "tok/s done", "req/s", "$/M tok", ""),
)
_LEFT = (0, 1, len(HEADINGS) - 1)


@dataclass(frozen=True)
class Row:
    """One point of one host; None if nothing was measured.

    + host: folder of the host
    + point: GuideLLM's label, such as ``concurrent@64``
    + outcome: ``valid``, ``invalid``, ``failed`` or ``never run``
    + reasons: why it is not valid
    + completed, errored, incomplete: requests
    + ttft_p50_ms, itl_p50_ms: medians of completed requests
    + tokens_per_second_total: all tokens, including those of unfinished requests
    + tokens_per_second_completed: tokens of completed requests
    + requests_per_second: completed requests
    + attempts: number of attempts; more than one if GuideLLM hung
    + repeated: why each attempt except the last was repeated
    + usd_per_million_tokens: from ``tokens_per_second_total``; None unless the point is valid,
      because GuideLLM also counts the tokens of failed requests
    """

    host: str
    point: str
    outcome: str
    reasons: tuple[str, ...]
    completed: int | None = None
    errored: int | None = None
    incomplete: int | None = None
    ttft_p50_ms: float | None = None
    itl_p50_ms: float | None = None
    tokens_per_second_total: float | None = None
    tokens_per_second_completed: float | None = None
    requests_per_second: float | None = None
    usd_per_million_tokens: float | None = None
    attempts: int = 1
    repeated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A run's figures.

    + run: folder of the run
    + measured: each host's engine and GPUs, such as ``0.20.1 on AMD Instinct MI300X``
    + rows: in the order in which the points ran, host by host
    + partial: what is missing in each incomplete host folder
    + remarks: what searches found and how much repeats differ, a line each
    """

    run: Path
    measured: Mapping[str, str]
    rows: tuple[Row, ...]
    partial: Mapping[str, tuple[str, ...]]
    remarks: tuple[str, ...] = ()


def read_table(run: Path) -> Table:
    """Read the folder of a run.

    + run: such as ``results/20260513T101500Z``

    A folder without figures gives an empty table. Nothing is checked against the manifest.
    """
    rows: list[Row] = []
    partial: dict[str, tuple[str, ...]] = {}
    measured: dict[str, str] = {}
    remarks: list[str] = []
    for host in sorted(path for path in run.iterdir() if path.is_dir()):
        if host.name.startswith("."):
            continue
        problems: list[str] = []
        record = _read(RunRecord, host / "run.json", problems)
        # Exists even when the run was cut off.
        job = _read(JobRecord, host / "job.json", problems)
        price = None if job is None else job.usd_per_hour
        if record is not None:
            measured[host.name] = _measured(record)
        points = []
        for file in sorted(host.glob("*/point.json")):
            wrong: list[str] = []
            point = _read(PointRecord, file, wrong)
            if point is None:
                rows.extend(_unreadable(host.name, file, problem) for problem in wrong)
            else:
                points.append(point)
        points.sort(key=lambda point: point.started)
        rows.extend(_row(host.name, point, price) for point in points)
        slo = None if job is None else job.scenario.slo
        remarks.extend(stages.conclusions(host))
        remarks.extend((*stages.objectives(points, slo), *stages.noise(points)))
        if record is not None:
            rows.extend(Row(host.name, name, "never run", ()) for name in record.never_run)
        if problems:
            partial[host.name] = tuple(problems)
        if (host / PARTIAL).exists():
            lines = (host / PARTIAL).read_text(encoding="utf-8").splitlines()
            found = tuple(line for line in lines if line)
            partial[host.name] = (*partial.get(host.name, ()), *found)
    return Table(run, measured, tuple(rows), partial, tuple(remarks))


def lines(table: Table) -> list[str]:
    """The lines of the table, followed by its problems."""
    cells = [HEADINGS, *(_cells(row) for row in table.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    # A run on one host needs no host column.
    shown = [
        column
        for column in range(len(HEADINGS))
        if column != 0 or len({row.host for row in table.rows}) > 1
    ]
    text = [
        "  ".join(
            row[column].ljust(widths[column])
            if column in _LEFT
            else row[column].rjust(widths[column])
            for column in shown
        ).rstrip()
        for row in cells
    ]
    text.extend(f"{host}: {what}" for host, what in table.measured.items())
    text.extend(table.remarks)
    for row in table.rows:
        text.extend(f"{row.point} {row.outcome}: {reason}" for reason in row.reasons)
        text.extend(
            f"{row.point}: attempt {number} of {row.attempts} is invalid: {why}"
            for number, why in enumerate(row.repeated, start=1)
        )
    for host, reasons in table.partial.items():
        text.extend(f"{host} is incomplete: {reason}" for reason in reasons)
    return text


_T = TypeVar("_T")


def _read(kind: type[_T], path: Path, problems: list[str]) -> _T | None:
    """A record of the run, or None with the error in ``problems``."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    try:
        return read(kind, json.loads(text), path.name)
    except ValueError as error:
        problems.append(f"{path.parent.name}/{path.name}: {error}")
        return None


def _measured(record: RunRecord) -> str:
    provenance = record.provenance
    names = [gpu.get("name") or "unknown GPU" for gpu in provenance.gpus]
    counted = [f"{names.count(name)} × {name}" for name in dict.fromkeys(names)]
    load = provenance.load_generator
    elsewhere = "" if load is None else f", load from {load['host']} ({load['way']})"
    return (
        f"{provenance.model}, vLLM {provenance.engine or 'unknown'} "
        f"on {', '.join(counted) or 'unknown GPU'}, scenario {record.scenario}{elsewhere}"
    )


def _row(host: str, record: PointRecord, price: float | None) -> Row:
    counts = record.figures or {}
    # What is no measurement shows how many requests there were, and dashes.
    figures = counts if record.outcome == "valid" else {}
    total = figures.get("tokens_per_second_total")
    usd = None
    if price is not None and total:
        usd = usd_per_million_tokens(price, total)
    return Row(
        host=host,
        point=record.label,
        outcome=record.outcome,
        reasons=record.reasons,
        completed=counts.get("completed"),
        errored=counts.get("errored"),
        incomplete=counts.get("incomplete"),
        ttft_p50_ms=figures.get("ttft_p50_ms"),
        itl_p50_ms=figures.get("itl_p50_ms"),
        tokens_per_second_total=total,
        tokens_per_second_completed=figures.get("tokens_per_second_completed"),
        requests_per_second=figures.get("requests_per_second"),
        usd_per_million_tokens=usd,
        attempts=max(1, len(record.attempts)),
        repeated=tuple(
            f"{attempt.why} (files in {attempt.folder}, seed {attempt.seed})"
            for attempt in record.attempts
            if attempt.folder
        ),
    )


def _unreadable(host: str, file: Path, problem: str) -> Row:
    return Row(host, file.parent.name, "failed", (f"its record cannot be read: {problem}",))


def _cells(row: Row) -> Sequence[str]:
    return (
        row.host,
        row.point,
        *(_number(value, 0) for value in (row.completed, row.errored, row.incomplete)),
        _number(row.ttft_p50_ms, 1),
        _number(row.itl_p50_ms, 1),
        _number(row.tokens_per_second_total, 0),
        _number(row.tokens_per_second_completed, 0),
        _number(row.requests_per_second, 2),
        _number(row.usd_per_million_tokens, 3),
        _remark(row),
    )


def _remark(row: Row) -> str:
    """The last column: anything unusual about a row."""
    tries = f"{row.attempts} attempts" if row.attempts > 1 else ""
    outcome = "" if row.outcome == "valid" else row.outcome.upper()
    return ", ".join(part for part in (outcome, tries) if part)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
