"""``rocminfra bench list | status | attach | stop | collect``: runs that the hosts know."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from rocminfra.failure import ExitCode, FailedError
from rocminfra.runner.verbs.options import host_options
from rocminfra.runner.verbs.shared import guarded, patch, progress_shown, report

if TYPE_CHECKING:
    from rocminfra.runner.run.bench_runs import Runs
    from rocminfra.runner.run.options import Options
    from rocminfra.runner.run.session import Progress

run_argument = click.argument("run", required=False, metavar="[RUN]")


@click.command(
    "list",
    short_help="List the runs that the hosts know.",
    help="""\b
rocminfra bench list
rocminfra bench list --limit mi300x-1 --json

List the runs that the hosts know, the newest first. Nothing is changed.
""",
)
@host_options
def list_verb(**given: Any) -> ExitCode:
    from rocminfra.runner.run.bench_runs import list_runs

    return _told("bench-list", given, list_runs)


@click.command(
    "status",
    short_help="Say how far a run is.",
    help="""\b
rocminfra bench status                            the last run
rocminfra bench status 20260513T101500Z-3fa9c1

Say how far a run is on every host that knows it. Nothing is changed.
""",
)
@run_argument
@host_options
def status_verb(run: str | None, **given: Any) -> ExitCode:
    from rocminfra.runner.run.bench_runs import read_statuses

    return _told("bench-status", given, lambda *words: read_statuses(run, *words))


@click.command(
    "stop",
    short_help="End a run; what it measured stays.",
    help="""\b
rocminfra bench stop                              the last run
rocminfra bench stop 20260513T101500Z-3fa9c1

End a run. What it has measured stays on the host: `rocminfra bench collect` brings it back, and
`rocminfra bench --resume` goes on with it.
""",
)
@run_argument
@host_options
def stop_verb(run: str | None, **given: Any) -> ExitCode:
    from rocminfra.runner.run.bench_runs import stop_run

    return _told("bench-stop", given, lambda *words: stop_run(run, *words))


@click.command(
    "attach",
    short_help="Follow a run to its end.",
    help="""\b
rocminfra bench attach                            the last run
rocminfra bench attach 20260513T101500Z-3fa9c1

Follow a run to its end and bring its results back. Ctrl-C leaves it running.
""",
)
@run_argument
@host_options
def attach_verb(run: str | None, **given: Any) -> ExitCode:
    from rocminfra.runner.run.bench_runs import attach_run

    return _brought("bench attach", run, given, attach_run)


@click.command(
    "collect",
    short_help="Bring back what a run has measured.",
    help="""\b
rocminfra bench collect                           the last run
rocminfra bench collect 20260513T101500Z-3fa9c1

Bring back what a run has measured; only what is not here yet. Nothing is run.
""",
)
@run_argument
@host_options
def collect_verb(run: str | None, **given: Any) -> ExitCode:
    from rocminfra.runner.run.bench_runs import collect_run

    return _brought("bench collect", run, given, collect_run)


def _options(given: dict[str, Any]) -> Options:
    from rocminfra.runner.run.options import Options

    return Options(given["inventory"], given["limit"], given["data"], verbosity=given["verbose"])


def _told(verb: str, given: dict[str, Any], ask: Callable[[Options, Progress], Runs]) -> ExitCode:
    """Ask the hosts and print what they say."""
    patch()
    from rocminfra.runner.output import run_text
    from rocminfra.runner.output.bench_json import runs_document
    from rocminfra.runner.output.bench_text import runs_lines
    from rocminfra.runner.output.run_json import dump, error_document

    options = _options(given)
    try:
        found = ask(options, progress_shown(quiet=True))
    except FailedError as error:
        if not given["as_json"]:
            raise
        print(dump({**error_document(verb, error), "run": None, "hosts": []}))
        run_text.print_failure(error.failure)
        return error.failure.kind
    if given["as_json"]:
        print(dump(runs_document(verb, found)))
    else:
        for line in runs_lines(found):
            print(line)
    for host in found.hosts:
        for failure in host.failures:
            run_text.print_failure(failure, f"{host.name}: ")
    if verb == "bench-stop" and found.code is ExitCode.DONE:
        run_text.message(f"next: {options.of_run('collect', found.run)}")
    return found.code


def _brought(
    verb: str, run: str | None, given: dict[str, Any], bring: Callable[..., Any]
) -> ExitCode:
    """Bring a run back and print its table."""
    patch()
    options = _options(given)
    result = guarded("bench", given["as_json"], lambda progress: bring(run, options, progress))
    report(result, given["as_json"], options, options.command(verb))
    return ExitCode(result.code)
