"""Results as JUnit XML, which CI systems show beside a job: a suite a host, a case an operation,
a measured point or a part of the status."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rocminfra.failure import Do, FailedError, Failure, Fault, lines
from rocminfra.report.table import Row
from rocminfra.runner.run.results import HostResult, Outcome, RunResult
from rocminfra.runner.run.status_results import HostStatus

# What XML 1.0 cannot hold, not even escaped; a host may print anything.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Case:
    """One thing that went well, went wrong, or was not tried.

    + suite: the host, or the verb for what concerns no host
    + problem: what went wrong, the first line as a summary; None when nothing did
    """

    suite: str
    name: str
    seconds: float = 0.0
    problem: str | None = None
    skipped: bool = False


def run_cases(result: RunResult, points: Sequence[Row]) -> list[Case]:
    """The cases of a plan, apply or bench, and of the benchmark that followed.

    + points: what was measured
    """
    cases = [case for host in result.hosts for case in _host_cases(host)]
    if result.then is not None:
        cases += run_cases(result.then, ())
    cases += [
        Case(row.host, row.point, problem=None if row.outcome == "valid" else _point_problem(row))
        for row in points
    ]
    if result.error is not None:
        cases.append(Case(result.verb, "the command itself", problem=_words(result.error)))
    return cases


def status_cases(hosts: Iterable[HostStatus], error: Failure | None) -> list[Case]:
    """The cases of a status."""
    cases = []
    for host in hosts:
        cases += [
            Case(host.name, name, problem=None if part.good else part.words)
            for name, part in host.parts.items()
        ]
        cases += [Case(host.name, item.what, problem=_words(item)) for item in host.failures]
    if error is not None:
        cases.append(Case("status", "the command itself", problem=_words(error)))
    return cases


def write(path: Path, verb: str, cases: Sequence[Case]) -> None:
    """Write a JUnit file.

    Raises :class:`FailedError` (3) when that is not possible.
    """
    root = ElementTree.Element("testsuites", name=f"rocminfra {verb}")
    for suite in dict.fromkeys(case.suite for case in cases):
        own = [case for case in cases if case.suite == suite]
        node = ElementTree.SubElement(
            root,
            "testsuite",
            name=_xml(suite),
            tests=str(len(own)),
            failures=str(sum(case.problem is not None for case in own)),
            skipped=str(sum(case.skipped for case in own)),
            errors="0",
            time=f"{sum(case.seconds for case in own):.3f}",
        )
        for case in own:
            _add(node, verb, case)
    ElementTree.indent(root)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise FailedError(
            Fault.OUTPUT_NOT_WRITABLE,
            f"the JUnit file cannot be written: {path}: {error.strerror}",
            next=Do("--junit FILE, in a folder that can be written to"),
        ) from None


def _host_cases(host: HostResult) -> list[Case]:
    cases = []
    for operation in host.operations:
        failed = operation.outcome is Outcome.FAILED
        said = "\n".join(operation.stderr) or "it failed"
        cases.append(
            Case(
                host.name,
                operation.name,
                operation.seconds or 0.0,
                said if failed else None,
                operation.outcome is Outcome.NOT_RUN,
            )
        )
    cases += [Case(host.name, item.what, problem=_words(item)) for item in host.failures]
    if host.failed and not any(case.problem for case in cases):
        cases.append(Case(host.name, "the host", problem=host.state.name.lower()))
    return cases


def _add(node: ElementTree.Element, verb: str, case: Case) -> None:
    item = ElementTree.SubElement(
        node,
        "testcase",
        classname=f"rocminfra.{verb}.{_xml(case.suite)}",
        name=_xml(case.name),
        time=f"{case.seconds:.3f}",
    )
    if case.problem is not None:
        text = _xml(case.problem)
        first = next((line for line in text.splitlines() if line.strip()), "failed")
        failure = ElementTree.SubElement(item, "failure", message=first.strip())
        failure.text = text
    elif case.skipped:
        ElementTree.SubElement(item, "skipped")


def _point_problem(row: Row) -> str:
    return "\n".join([row.outcome, *row.reasons])


def _words(failure: Failure) -> str:
    # The summary is the first line, so what happened comes before its evidence.
    return "\n".join([failure.what, *lines(failure)])


def _xml(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
