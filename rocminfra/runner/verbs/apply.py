"""``rocminfra apply``: make the hosts what the playbook says."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocminfra.failure import Again, Do, ExitCode, FailedError, Fault
from rocminfra.runner.verbs.options import files_argument, host_options, junit_option, wipe_option
from rocminfra.runner.verbs.shared import guarded, patch, print_json, report, run_bench

if TYPE_CHECKING:
    from rocminfra.runner.run.options import Options
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
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="apply what plan --out kept, and refuse when anything is different by now",
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
    plan_path: Path | None,
    junit: Path | None,
) -> ExitCode:
    """Make the hosts what the playbook says.

    FILE is a file of the playbook, deploy.py if none is given. `apply --bench` does everything,
    from a bare machine to measured results. Without --yes it shows the plan first and asks.
    """
    if plan_path is not None and (files or inventory or limit or data or wipe):
        raise FailedError(
            Fault.OPTION_INVALID,
            "--plan: hosts, files and settings are those of the plan",
            next=Do(f"rocminfra apply --plan {shlex.quote(str(plan_path))}"),
        )
    _ask_only_on_a_terminal(yes or as_json or plan_path is not None)
    patch()
    import dataclasses

    from rocminfra.runner.output import run_text
    from rocminfra.runner.run.options import Options
    from rocminfra.runner.run.playbook import benchmark_data, error_result, hosts_done, run

    early = () if bench is None else ("bench.prepare=true",)
    options = Options(inventory, limit, data, wipe, files, verbose, implied=early)
    confirm: Callable[[RunResult], bool] | None = None if yes or as_json else _confirmed
    if plan_path is not None:
        try:
            options, confirm = _of_plan(plan_path, verbose)
        except FailedError as error:
            if as_json:
                print_json(error_result("apply", error), error.failure.kind)
            raise

    def work(progress: Progress) -> RunResult:
        result = run("apply", options, progress, apply=True, confirm=confirm)
        done = hosts_done(result)
        if bench is None or not done or result.interrupted or result.declined:
            return result
        run_text.message("")
        run_text.message(f"benchmark on {', '.join(done)}", "bold")
        extra = benchmark_data(options.data, bench, None)
        following = dataclasses.replace(options, limit=done, data=extra, wipe=(), files=())
        return dataclasses.replace(result, then=_bench_after(following, progress))

    result = guarded("apply", as_json, work, verbose)
    report(
        result, as_json, options, options.command("apply"), _bench_command(options, bench), junit
    )
    if not as_json and bench is None and result.changes:
        _say_how_to_use(result, options)
    return result.code


def _of_plan(path: Path, verbose: int) -> tuple[Options, Callable[[RunResult], bool]]:
    """What a kept plan was made with, and the check that it still is what would be done."""
    import dataclasses

    from rocminfra.runner.run import plan_file

    saved = plan_file.read(path)

    def unchanged(planned: RunResult) -> bool:
        plan_file.refuse_what_changed(path, saved, planned)
        return True

    return dataclasses.replace(saved.options, verbosity=verbose), unchanged


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
