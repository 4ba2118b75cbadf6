"""What people read: results on stdout, messages on stderr, the important line last."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from rocminfra.failure import Failure, lines
from rocminfra.runner.run.results import (
    HostResult,
    HostState,
    OperationResult,
    Outcome,
    RunResult,
)
from rocminfra.runner.run.status_results import HostStatus

_SIGNS = {
    Outcome.PENDING: "+",
    Outcome.CONDITIONAL: "?",
    Outcome.CHANGED: "+",
    Outcome.UNCHANGED: " ",
    Outcome.FAILED: "!",
    Outcome.NOT_RUN: "-",
}
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "bold": "1"}


def styled(text: str, style: str, stream: TextIO) -> str:
    """``text`` in a colour where there is a terminal and ``NO_COLOR`` is not set."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m"


def message(text: str, style: str | None = None) -> None:
    """A line on stderr."""
    print(styled(text, style, sys.stderr) if style else text, file=sys.stderr, flush=True)


def show_operation(name: str) -> None:
    """An operation begins."""
    message(f"--> {name}", "blue")


def show_host(host: str, success: bool, changed: bool, seconds: float) -> None:
    """What became of an operation on one host."""
    word = "changed" if changed else "ok"
    word, style = (word, "green") if success else ("failed", "red")
    took = f" ({duration(seconds)})" if seconds >= 1 else ""
    message(f"    [{host}] {styled(word, style, sys.stderr)}{took}")


def duration(seconds: float) -> str:
    """Seconds as people say them: 4.2 s, 3 min 20 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def print_plan(result: RunResult, verbosity: int = 0) -> None:
    """What would change, host by host.

    + verbosity: above 0 shows every operation, also those that change nothing
    """
    for host in result.hosts:
        print(styled(f"{host.name}: {_plan_words(host)}", "bold", sys.stdout))
        for operation in host.operations:
            if operation.outcome in (Outcome.PENDING, Outcome.CONDITIONAL) or verbosity > 0:
                print(f"  {_operation_line(operation)}")


def print_status(hosts: Iterable[HostStatus]) -> None:
    """How every host is, a line for each part."""
    for host in hosts:
        if not host.parts:
            continue
        print(styled(host.name, "bold", sys.stdout))
        rows = [
            ("  ok " if part.good else "  !! ", name, part.words)
            for name, part in host.parts.items()
        ]
        for line in aligned(rows):
            print(line)


def print_summary(result: RunResult) -> None:
    """A line for every host of an apply or bench."""
    rows = []
    for host in result.hosts:
        seconds = sum(operation.seconds or 0 for operation in host.operations)
        rows.append(
            (
                host.name,
                host.state.value,
                f"{host.count(Outcome.CHANGED)} changed",
                f"{host.count(Outcome.UNCHANGED)} unchanged",
                f"{host.count(Outcome.FAILED)} failed",
                f"{host.count(Outcome.NOT_RUN)} not run",
                duration(seconds),
            )
        )
    for line in aligned(rows):
        print(line)


def print_failures(hosts: Iterable[HostResult]) -> None:
    """Why hosts failed: evidence first, then what is wrong, then the next command."""
    for host in hosts:
        for failure in host.failures:
            named = failure.what.startswith((f"{host.name} ", f"{host.name}:"))
            prefix = "" if named else f"{host.name}: "
            print_failure(failure, prefix)


def print_failure(failure: Failure, prefix: str = "") -> None:
    """One failure, the important lines last."""
    message("")
    *others, what, following = lines(failure) if failure.next is not None else [*lines(failure), ""]
    for line in others:
        message(line)
    message(f"{prefix}{what}", "red")
    if following:
        message(following)


def aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows with their columns below each other."""
    table = list(rows)
    if not table:
        return []
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _plan_words(host: HostResult) -> str:
    if host.state is HostState.UNREACHABLE:
        return "cannot be reached"
    if host.failed:
        return "cannot go on"
    pending, maybe = host.count(Outcome.PENDING), host.count(Outcome.CONDITIONAL)
    if not pending and not maybe:
        return f"nothing to change ({len(host.operations)} operations)"
    words = f"{pending} of {len(host.operations)} operations would change something"
    return f"{words}, {maybe} may" if maybe else words


def _operation_line(operation: OperationResult) -> str:
    return f"{_SIGNS[operation.outcome]} {operation.name}"
