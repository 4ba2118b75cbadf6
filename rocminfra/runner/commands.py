"""The verbs' options and what they print.

Imported only when a verb is called; pyinfra only when the verb needs it, and after gevent has
patched the standard library, which has to come first.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rocminfra.runner.errors import CommandError
from rocminfra.runner.exit_codes import ExitCode

if TYPE_CHECKING:
    from rocminfra.runner.playbook import Options
    from rocminfra.runner.results import RunResult
    from rocminfra.runner.session import Progress

F = TypeVar("F", bound=Callable[..., Any])


def host_options(function: F) -> F:
    """Options of every verb that talks to hosts."""
    for option in reversed(
        (
            click.option(
                "-i",
                "--inventory",
                metavar="FILE",
                help="pyinfra inventory, or names with commas between them"
                " [default: inventory/amd_cloud.py]",
            ),
            click.option(
                "--limit", multiple=True, metavar="HOST", help="only these hosts or groups"
            ),
            click.option(
                "--data",
                multiple=True,
                metavar="KEY=VALUE",
                help="override a setting for this run, such as vllm.max_num_seqs=32",
            ),
            click.option("--json", "as_json", is_flag=True, help="JSON on stdout"),
            click.option(
                "-v", "--verbose", count=True, help="say more; twice: pyinfra's debug log"
            ),
        )
    ):
        function = option(function)
    return function


wipe_option = click.option(
    "--wipe",
    multiple=True,
    metavar="TOKEN",
    help="destroy the data that this token names, as a refusal printed it",
)
files_argument = click.argument("files", nargs=-1, metavar="[FILE]...")


@click.command()
@files_argument
@host_options
@wipe_option
@click.option("--exit-code", is_flag=True, help="exit with 2 when something would change")
def plan(
    files: tuple[str, ...],
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
    wipe: tuple[str, ...],
    exit_code: bool,
) -> ExitCode:
    """Say what apply would change. Nothing is changed.

    FILE is a file of the playbook, deploy.py if none is given.
    """
    _patch()
    from rocminfra.runner import printing
    from rocminfra.runner.playbook import Options, run

    options = Options(inventory, limit, data, wipe, files, verbose)
    result = _guarded("plan", as_json, lambda progress: run("plan", options, progress, apply=False))
    code = result.code
    if exit_code and code is ExitCode.DONE and result.changes:
        code = ExitCode.CHANGES
    if as_json:
        _print_json(result, code)
    else:
        printing.print_plan(result, verbose)
    _say_failures(result, options.command("plan"))
    if result.changes and code in (ExitCode.DONE, ExitCode.CHANGES):
        printing.message(f"next: {options.command('apply')}")
    return code


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
) -> ExitCode:
    """Make the hosts what the playbook says.

    FILE is a file of the playbook, deploy.py if none is given. `apply --bench` does everything,
    from a bare machine to measured results. Without --yes it shows the plan first and asks.
    """
    _ask_only_on_a_terminal(yes or as_json)
    _patch()
    import dataclasses

    from rocminfra.runner import printing
    from rocminfra.runner.playbook import Options, benchmark_data, hosts_done, run

    options = Options(inventory, limit, data, wipe, files, verbose)
    confirm = None if yes or as_json else _confirmed

    def work(progress: Progress) -> RunResult:
        result = run("apply", options, progress, apply=True, confirm=confirm)
        done = hosts_done(result)
        if bench is None or not done or result.interrupted:
            return result
        printing.message("")
        printing.message(f"benchmark on {', '.join(done)}", "bold")
        extra = benchmark_data(data, bench, None)
        following = Options(inventory, done, extra, verbosity=verbose)
        return dataclasses.replace(result, then=_bench_after(following, progress))

    result = _guarded("apply", as_json, work)
    _report(result, as_json, options.command("apply"), _bench_command(options, bench))
    return result.code


@click.command()
@host_options
@click.option("--scenario", metavar="NAME", help="a file of benchmarks/, or a path")
@click.option("--resume", metavar="RUN", help="go on with this run, such as 20260131T093000Z")
def bench(
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
    scenario: str | None,
    resume: str | None,
) -> ExitCode:
    """Benchmark the engine and bring the results back."""
    _patch()
    from rocminfra.runner.playbook import Options, benchmark_data

    extra = benchmark_data(data, scenario, resume)
    options = Options(inventory, limit, extra, verbosity=verbose)
    result = _guarded("bench", as_json, lambda progress: _bench(options, progress))
    _report(result, as_json, options.command("bench"))
    return result.code


@click.command()
@host_options
def status(
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
) -> ExitCode:
    """Say how the hosts are: disk, Docker, unit, engine, model. Nothing is changed.

    Exits with 7 when an engine does not serve.
    """
    _patch()
    from rocminfra.runner import printing
    from rocminfra.runner.as_json import dump, status_document
    from rocminfra.runner.playbook import Options, error_result
    from rocminfra.runner.status import read_status

    options = Options(inventory, limit, data, verbosity=verbose)
    try:
        hosts = read_status(options, _progress(quiet=True))
        error = None
    except CommandError as problem:
        if not as_json:
            raise
        hosts, error = (), error_result("status", problem).error
    document = status_document(hosts, error)
    if as_json:
        print(dump(document))
    else:
        printing.print_status(hosts)
    for host in hosts:
        for failure in host.failures:
            printing.print_failure(failure)
    if error is not None:
        printing.print_failure(error)
    return ExitCode(document["code"])


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout")
def init(folder: Path, as_json: bool) -> ExitCode:
    """Lay the playbook out in a folder of your own: deploy.py, inventory, tasks, templates."""
    from rocminfra.runner.as_json import dump, init_document
    from rocminfra.runner.init import init as lay_out
    from rocminfra.runner.init import next_commands

    try:
        laid_out = lay_out(folder)
    except CommandError as error:
        if as_json:
            print(dump(init_document(str(folder), (), error)))
        raise
    if as_json:
        print(dump(init_document(str(folder), laid_out.files, None)))
        return ExitCode.DONE
    for file in laid_out.files:
        print(laid_out.folder / file)
    click.echo(f"{len(laid_out.files)} files in {laid_out.folder}. next:", err=True)
    for line in next_commands(laid_out.folder):
        click.echo(f"    {line}", err=True)
    return ExitCode.DONE


def _patch() -> None:
    """Let gevent patch the standard library; must come before pyinfra, paramiko and httpx."""
    from gevent import monkey

    monkey.patch_all()

    from rocminfra.runner.interrupts import watch

    watch()


def _progress(quiet: bool = False) -> Progress:
    from rocminfra.runner import printing
    from rocminfra.runner.session import Progress

    if quiet:
        return Progress(printing.message, lambda name: None, lambda *args: None)
    return Progress(printing.message, printing.show_operation, printing.show_host)


def _guarded(verb: str, as_json: bool, work: Callable[[Progress], RunResult]) -> RunResult:
    """Run a verb; with ``--json`` even a wrong option ends in a JSON document."""
    from rocminfra.runner.playbook import error_result

    try:
        return work(_progress())
    except CommandError as error:
        if not as_json:
            raise
        return error_result(verb, error)


def _bench(options: Options, progress: Progress) -> RunResult:
    from rocminfra.runner.playbook import run

    return run("bench", options, progress, apply=True)


def _bench_command(options: Options, scenario: str | None) -> str:
    """The verb that repeats only the benchmark of an ``apply --bench``."""
    import dataclasses

    command = dataclasses.replace(options, files=()).command("bench")
    return f"{command} --scenario {shlex.quote(scenario)}" if scenario else command


def _bench_after(options: Options, progress: Progress) -> RunResult:
    """The benchmark of ``apply --bench``: what is wrong with it must not hide what was done."""
    from rocminfra.runner.playbook import error_result

    try:
        return _bench(options, progress)
    except CommandError as error:
        return error_result("bench", error)


def _report(result: RunResult, as_json: bool, again: str, bench_again: str | None = None) -> None:
    from rocminfra.runner import printing

    if as_json:
        _print_json(result, result.code)
    else:
        printing.message("")
        printing.print_summary(result)
        if result.then is not None:
            printing.print_summary(result.then)
        _print_tables(result.then or result)
    _say_failures(result, again)
    if result.then is not None:
        _say_failures(result.then, bench_again or again)


def _print_tables(result: RunResult) -> None:
    """The figures of a benchmark, which are data, where data goes."""
    from rocminfra.report.table import lines
    from rocminfra.runner.as_json import tables

    for table in tables(result):
        print()
        print(*lines(table), f"results: {table.run}", sep="\n")


def _say_failures(result: RunResult, again: str) -> None:
    from rocminfra.runner import printing

    printing.print_failures(result.hosts)
    if result.error is not None:
        printing.print_failure(result.error)
    if result.interrupted:
        printing.message("interrupted; what was done stays done", "yellow")
        if result.resume is not None:
            printing.message(f"run {result.resume} goes on by itself on the hosts")
            again = f"{again} --resume {result.resume}"
        printing.message(f"next: {again}")


def _print_json(result: RunResult, code: ExitCode) -> None:
    from rocminfra.runner.as_json import dump, run_document

    print(dump(run_document(result, code)))


def _ask_only_on_a_terminal(settled: bool) -> None:
    if settled or sys.stdin.isatty():
        return
    raise CommandError(
        ExitCode.SETTINGS,
        "apply asks before it changes anything, and there is no terminal to ask on",
        next_command="rocminfra apply --yes   # or first: rocminfra plan",
    )


def _confirmed(planned: RunResult) -> bool:
    from rocminfra.runner import printing
    from rocminfra.runner.interrupts import ask

    printing.print_plan(planned)
    return ask("apply this?")
