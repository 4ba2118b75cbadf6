"""What people read: results on stdout, messages on stderr, the important line last."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rocminfra.failure import ExitCode, Failure, lines
from rocminfra.planning.foreseen import DOWNLOAD_BYTES_PER_S, Foreseen, estimate
from rocminfra.runner.output.tables import table_lines
from rocminfra.runner.output.terminal import duration, sized, styled
from rocminfra.runner.output.terminal import message as message
from rocminfra.runner.run.results import (
    HostResult,
    HostState,
    OperationResult,
    Outcome,
    RunResult,
)
from rocminfra.runner.run.status_results import HostStatus
from rocminfra.runner.typed import again
from rocminfra.settings.argument_names import SETTING_OF

# Of a file's changed lines; a new version of a program is not read here.
_MOST_DIFF = 20
# What takes less needs no estimate.
_QUICK_S = 30
# Of a line of evidence, which is four lines of a terminal; --json has all of it.
_MOST_LETTERS = 320
_SIGNS = {
    Outcome.PENDING: "+",
    Outcome.CONDITIONAL: "?",
    Outcome.CHANGED: "+",
    Outcome.UNCHANGED: " ",
    Outcome.FAILED: "!",
    Outcome.NOT_RUN: "-",
}


class Steps:
    """What becomes of the operations, as it happens: those that change something, fail or speak.

    + all_of_them: also those that change nothing
    """

    def __init__(self, all_of_them: bool = False) -> None:
        self._all = all_of_them
        self._title: str | None = None

    def operation(self, name: str) -> None:
        """An operation begins; its name is shown when there is something to say of it."""
        self._title = name

    def line(self, text: str) -> None:
        """A line of what pyinfra or a task says."""
        self._show_title()
        message(text)

    def host(self, host: str, success: bool, changed: bool, seconds: float) -> None:
        """What became of an operation on one host."""
        if success and not changed and not self._all:
            return
        self._show_title()
        word = "changed" if changed else "ok"
        word, style = (word, "green") if success else ("failed", "red")
        took = f" ({duration(seconds)})" if seconds >= 1 else ""
        message(f"    [{host}] {styled(word, style, sys.stderr)}{took}")

    def _show_title(self) -> None:
        if self._title is not None:
            message(f"--> {self._title}", "blue")
            self._title = None


def print_plan(result: RunResult, verbosity: int = 0) -> None:
    """What would change, host by host.

    + verbosity: above 0 shows every operation, also those that change nothing
    """
    for host in result.hosts:
        print(styled(f"{host.name}: {_plan_words(host)}", "bold", sys.stdout))
        for operation in host.operations:
            if operation.outcome in (Outcome.PENDING, Outcome.CONDITIONAL) or verbosity > 0:
                print(f"  {_operation_line(operation)}")
                _print_foreseen(operation.foreseen, 6)
        _print_foreseen(host.foreseen, 2)
        print_estimate(host)


def _print_foreseen(found: Iterable[Foreseen], indent: int) -> None:
    for one in found:
        print(f"{' ' * indent}{one.words}")
        for line in one.diff[:_MOST_DIFF]:
            style = {"+": "green", "-": "red"}.get(line[:1])
            shown = f"{' ' * (indent + 2)}{line}"
            print(styled(shown, style, sys.stdout) if style else shown)
        if len(one.diff) > _MOST_DIFF:
            print(f"{' ' * (indent + 2)}… {len(one.diff) - _MOST_DIFF} more lines (--json has all)")


def print_estimate(host: HostResult) -> None:
    """How long a host's changes would take and what that costs; nothing when they are quick."""
    all_of_them = [one for operation in host.operations for one in operation.foreseen]
    found = estimate([*all_of_them, *host.foreseen])
    if not host.changes or found.seconds < _QUICK_S:
        return
    parts = []
    if found.download_bytes:
        rate = f"{DOWNLOAD_BYTES_PER_S / 1e6:.0f} MB/s"
        parts.append(f"{sized(found.download_bytes)} to download at an assumed {rate}")
    if found.load_s:
        parts.append(f"{duration(found.load_s)} to start the engine")
    least = "at least " if found.is_estimate else "about "
    price = ""
    if host.usd_per_hour:
        usd = found.usd(host.usd_per_hour)
        price = f", ${usd:.2f} at ${host.usd_per_hour:.2f} an hour"
    print(f"  {least}{duration(found.seconds)}{price}: {', '.join(parts)}")


def print_status(hosts: Iterable[HostStatus]) -> None:
    """How every host is, a line for each part."""
    for host in hosts:
        if not host.parts:
            continue
        print(styled(host.name, "bold", sys.stdout))
        # The same indent for every row, whichever of them are followed by a next step.
        names = max(len(name) for name in host.parts)
        said: set[str] = set()
        for name, part in host.parts.items():
            for line in table_lines([("ok" if part.good else "!!", name.ljust(names), part.words)]):
                print(f"  {styled(line, 'red', sys.stdout) if not part.good else line}")
            # One cure for several parts is said with the first, which is the reason for the others.
            if isinstance(part.cure, str) and part.cure not in said:
                said.add(part.cure)
                print(f"      next: {part.cure}")


def print_summary(result: RunResult) -> None:
    """A line for every host of an apply or bench; one for all when nothing had to be done."""
    if result.verb == "apply" and not result.changes and result.code is ExitCode.DONE:
        hosts = "1 host" if len(result.hosts) == 1 else f"{len(result.hosts)} hosts"
        took = "" if result.seconds is None else f" ({duration(result.seconds)})"
        print(f"nothing to change on {hosts}{took}")
        return
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
    for line in table_lines(rows):
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
    text = lines(failure, again, SETTING_OF)
    *others, what, following = text if failure.next is not None else [*text, ""]
    for line in others:
        message(_cut(line))
    message(f"{prefix}{what}", "red")
    if following:
        message(following)


def _cut(line: str) -> str:
    """A line of evidence that a screen can hold; other people's tracebacks may be endless."""
    if len(line) <= _MOST_LETTERS:
        return line
    half = _MOST_LETTERS // 2
    return f"{line[:half]} … {len(line) - 2 * half} more letters … {line[-half:]}"


def _plan_words(host: HostResult) -> str:
    if host.state is HostState.UNREACHABLE:
        return "cannot be reached"
    if host.state is HostState.INTERRUPTED:
        return "interrupted"
    if host.failed:
        return "cannot go on"
    pending, maybe = host.count(Outcome.PENDING), host.count(Outcome.CONDITIONAL)
    if not pending and not maybe:
        return f"nothing to change ({len(host.operations)} operations)"
    words = f"{pending} of {len(host.operations)} operations would change something"
    return f"{words}, {maybe} may" if maybe else words


def _operation_line(operation: OperationResult) -> str:
    return f"{_SIGNS[operation.outcome]} {operation.name}"
