"""What the verbs that run the playbook share.

Imported only when a verb is called; pyinfra only when the verb needs it, and after gevent has
patched the standard library, which has to come first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rocminfra.failure import ExitCode, FailedError

if TYPE_CHECKING:
    from rocminfra.runner.output.junit import Case
    from rocminfra.runner.run.options import Options
    from rocminfra.runner.run.results import RunResult
    from rocminfra.runner.run.session import Progress


def patch() -> None:
    """Let gevent patch the standard library; must come before pyinfra, paramiko and httpx."""
    from gevent import monkey

    monkey.patch_all()

    from rocminfra.runner.run.interrupts import watch

    watch()


def progress_shown(quiet: bool = False, verbose: int = 0) -> Progress:
    """Where a run's progress goes: lines on stderr, and what runs at the moment.

    + quiet: of operations nothing is shown
    + verbose: above 0 shows also the operations that change nothing
    """
    from rocminfra.runner.output import run_text
    from rocminfra.runner.run.session import Progress

    if quiet:
        return Progress(run_text.message, lambda name: None, lambda *args: None)
    steps = run_text.Steps(all_of_them=verbose > 0)
    return Progress(steps.line, steps.operation, steps.host)


def guarded(
    verb: str, as_json: bool, work: Callable[[Progress], RunResult], verbose: int = 0
) -> RunResult:
    """Run a verb; with ``--json`` even a wrong option ends in a JSON document."""
    from rocminfra.runner.output.live import Shown
    from rocminfra.runner.run.playbook import error_result

    progress = progress_shown(verbose=verbose)
    try:
        with Shown(progress.activities):
            return work(progress)
    except FailedError as error:
        if not as_json:
            raise
        return error_result(verb, error)


def run_bench(options: Options, progress: Progress) -> RunResult:
    from rocminfra.runner.run.playbook import run

    return run("bench", options, progress, apply=True)


def report(
    result: RunResult,
    as_json: bool,
    options: Options,
    again: str,
    bench_again: str | None = None,
    junit: Path | None = None,
) -> None:
    from rocminfra.runner.output import run_text
    from rocminfra.runner.output.junit import run_cases
    from rocminfra.runner.output.run_json import measured_points

    for_ci(result.verb, junit, run_cases(result, measured_points(result.then or result)))
    if as_json:
        print_json(result, result.code)
        for line in _reported(result.then or result):
            run_text.message(line)
    else:
        if result.declined:
            run_text.message("not applied", "yellow")
        else:
            run_text.print_summary(result)
        if result.then is not None:
            run_text.print_summary(result.then)
        _print_tables(result.then or result)
    say_failures(result, again, options)
    if result.then is not None:
        say_failures(result.then, bench_again or again, options)


def for_ci(verb: str, junit: Path | None, cases: Sequence[Case]) -> None:
    """What CI shows beside the log: the JUnit file that was asked for, and a step summary.

    A file that cannot be written is reported and does not change the exit code, which says what
    the run did.
    """
    from rocminfra.runner.output import junit as junit_file
    from rocminfra.runner.output import step_summary
    from rocminfra.runner.output.run_text import message

    if junit is not None:
        try:
            junit_file.write(junit, verb, cases)
        except FailedError as error:
            message(error.failure.what, "red")
    step_summary.append(os.environ, f"rocminfra {verb}", step_summary.case_lines(cases))


def say_failures(result: RunResult, again: str, options: Options) -> None:
    from rocminfra.runner.output import run_text

    run_text.print_failures(result.hosts)
    if result.error is not None:
        run_text.print_failure(result.error)
    if result.interrupted:
        run_text.message("interrupted; what was done stays done", "yellow")
        if result.resume is not None:
            run_text.message(f"run {result.resume} goes on on the hosts")
            run_text.message(f"to stop it: {options.of_run('stop', result.resume)}")
            again = options.of_run("attach", result.resume)
        run_text.message(f"next: {again}")


def print_json(result: RunResult, code: ExitCode) -> None:
    from rocminfra.runner.output.run_json import dump, run_document

    print(dump(run_document(result, code)))


def _print_tables(result: RunResult) -> None:
    """The figures of a benchmark, which are data, where data goes."""
    from rocminfra.report.table import lines
    from rocminfra.runner.output.run_json import tables

    for table in tables(result):
        print()
        print(*lines(table), f"results: {table.run}", sep="\n")
    for line in _reported(result):
        print(line)


def _reported(result: RunResult) -> list[str]:
    """Reports of what a benchmark brought back; whatever else ran does not import them."""
    if not any(host.results_folder for host in result.hosts):
        return []
    from rocminfra.runner.output.run_reports import reported

    return reported(result)
