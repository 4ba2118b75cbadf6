"""``rocminfra report gate RUN --baseline FILE``: fail when a run is worse than a baseline."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from rocminfra import __version__
from rocminfra.failure import Do, ExitCode, FailedError, Fault
from rocminfra.report.comparison.baseline import Check, baseline_text, checks, read_baseline
from rocminfra.report.comparison.compare import compare
from rocminfra.report.comparison.sides import pairs, subjects
from rocminfra.report.comparison.subject import Subject
from rocminfra.report.figures.report import Wanted, make_report
from rocminfra.runner.output.junit import Case
from rocminfra.runner.output.run_json import SCHEMA_VERSION, dump
from rocminfra.runner.output.terminal import message
from rocminfra.runner.verbs.options import junit_option
from rocminfra.runner.verbs.report_shared import answered, json_option, run_folder
from rocminfra.runner.verbs.shared import for_ci


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--baseline",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="the figures to hold the run against",
)
@click.option("--update", is_flag=True, help="write the run's figures as the new baseline")
@junit_option
@json_option
def gate(run: str, baseline: Path, update: bool, junit: Path | None, as_json: bool) -> ExitCode:
    """\b
    rocminfra report gate results/20260513T101500Z --baseline baseline.json --update
    rocminfra report gate results/20260514T090000Z --baseline baseline.json --junit gate.xml

    Fail (8) when a figure of a run is worse than the baseline by more than the noise, or missing.
    """

    def work() -> ExitCode:
        report = make_report(run_folder(run), Wanted(with_prediction=False))
        hosts = subjects(report)
        if update:
            if not report.is_valid:
                raise FailedError(
                    Fault.BENCHMARK_INVALID,
                    f"run {report.run} is no baseline",
                    (report.verdict,),
                    Do("choose a valid run"),
                )
            _write(baseline, baseline_text(hosts))
            return _answer("written", (), hosts, baseline, as_json)
        found = tuple(
            check
            for pair in pairs(read_baseline(baseline), hosts)
            for check in checks(compare(*pair))
        )
        cases = [
            Case(one.suite, one.name, problem=one.problem, skipped=one.skipped is not None)
            for one in found
        ]
        for_ci("report gate", junit, cases)
        failed = any(one.problem is not None for one in found)
        return _answer("failed" if failed else "passed", found, hosts, baseline, as_json)

    return answered("report gate", as_json, work)


def _answer(
    outcome: str,
    found: tuple[Check, ...],
    hosts: tuple[Subject, ...],
    baseline: Path,
    as_json: bool,
) -> ExitCode:
    code = ExitCode.BENCHMARK if outcome == "failed" else ExitCode.DONE
    if as_json:
        document = {
            "schema": SCHEMA_VERSION,
            "rocminfra": __version__,
            "verb": "report gate",
            "code": int(code),
            "outcome": outcome,
            "run": hosts[0].name,
            "baseline": str(baseline),
            "checks": [dataclasses.asdict(one) for one in found],
            "error": None,
        }
        print(dump(document))
        return code
    if outcome == "written":
        message(f"{baseline}: the figures of {hosts[0].name} are the baseline now")
        return code
    wrong = [one for one in found if one.problem is not None]
    for one in found:
        if one.skipped is not None:
            print(f"not checked: {one.name}: {one.skipped}")
    for one in wrong:
        print(f"{one.suite}: {one.name}: {one.problem}")
    checked = sum(one.skipped is None for one in found)
    if wrong:
        message(f"{len(wrong)} of {checked} figures are worse than {baseline}, or missing", "red")
    else:
        print(f"all {checked} figures are as good as in {baseline}, or better")
    return code


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise FailedError(
            Fault.OUTPUT_NOT_WRITABLE,
            f"the baseline cannot be written: {path}: {error.strerror}",
            next=Do("--baseline FILE, in a folder that can be written to"),
        ) from None
