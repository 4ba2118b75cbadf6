"""``rocminfra apply``: make the hosts what the playbook says."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocminfra.failure import Again, ExitCode, FailedError, Fault
from rocminfra.runner.verbs.options import files_argument, host_options, junit_option, wipe_option
from rocminfra.runner.verbs.shared import guarded, patch, report, run_bench

if TYPE_CHECKING:
    from rocminfra.runner.run.playbook import Options
    from rocminfra.runner.run.results import RunResult
    from rocminfra.runner.run.session import Progress


@click.command()
@files_argument
@host_options
@wipe_option
@click.option("-y", "--yes", is_flag=True, help="do not ask; never implies a wipe")
@click.option(
    "--bench",
    is_flag=False,
    flag_value="",
    metavar="[SCENARIO]",
    help="then run the benchmark on the hosts that went well",
)
@junit_option
def apply(
    files: tuple[str, ...],
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
    wipe: tuple[str, ...],
    yes: bool,
    bench: str | None,
    junit: Path | None,
) -> ExitCode:
    """Make the hosts what the playbook says.

    FILE is a file of the playbook, deploy.py if none is given. `apply --bench` does everything,
    from a bare machine to measured results. Without --yes it shows the plan first and asks.
    """
    _ask_only_on_a_terminal(yes or as_json)
    patch()
    import dataclasses

    from rocminfra.runner.output import run_text
    from rocminfra.runner.run.playbook import Options, benchmark_data, hosts_done, run

    options = Options(inventory, limit, data, wipe, files, verbose)
    confirm = None if yes or as_json else _confirmed

    def work(progress: Progress) -> RunResult:
        result = run("apply", options, progress, apply=True, confirm=confirm)
        done = hosts_done(result)
        if bench is None or not done or result.interrupted or result.declined:
            return result
        run_text.message("")
        run_text.message(f"benchmark on {', '.join(done)}", "bold")
        extra = benchmark_data(data, bench, None)
        following = Options(inventory, done, extra, verbosity=verbose)
        return dataclasses.replace(result, then=_bench_after(following, progress))

    result = guarded("apply", as_json, work, verbose)
    report(
        result, as_json, options, options.command("apply"), _bench_command(options, bench), junit
    )
    if not as_json and bench is None and result.changes:
        _say_how_to_use(result, options)
    return result.code


def _say_how_to_use(result: RunResult, options: Options) -> None:
    """After an apply that made something serve: endpoint, tunnel, client, and what is next."""
    import dataclasses

    from rocminfra.runner.output import run_text
    from rocminfra.runner.output.endpoint_text import served_lines

    again = dataclasses.replace(options, files=())
    lines = served_lines(result.hosts, again.command)
    if not lines:
        return
    print(*lines, sep="\n")
    if result.code is ExitCode.DONE:
        run_text.message(f"next: {again.command('bench')}")


def _bench_command(options: Options, scenario: str | None) -> str:
    """The verb that repeats only the benchmark of an ``apply --bench``."""
    import dataclasses

    command = dataclasses.replace(options, files=()).command("bench")
    return f"{command} --scenario {shlex.quote(scenario)}" if scenario else command


def _bench_after(options: Options, progress: Progress) -> RunResult:
    """The benchmark of ``apply --bench``: what is wrong with it must not hide what was done."""
    from rocminfra.runner.run.playbook import error_result

    try:
        return run_bench(options, progress)
    except FailedError as error:
        return error_result("bench", error)


def _ask_only_on_a_terminal(settled: bool) -> None:
    if settled or sys.stdin.isatty():
        return
    raise FailedError(
        Fault.NO_TERMINAL_TO_ASK,
        "apply asks before it changes anything, and there is no terminal to ask on",
        next=Again(yes=True),
    )


def _confirmed(planned: RunResult) -> bool:
    from rocminfra.runner.output import run_text
    from rocminfra.runner.run.interrupts import ask

    run_text.print_plan(planned)
    return ask("apply this?")
