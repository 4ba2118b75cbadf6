"""``rocminfra plan``: what apply would change."""

from __future__ import annotations

import click

from rocminfra.failure import ExitCode
from rocminfra.runner.verbs.options import files_argument, host_options, wipe_option
from rocminfra.runner.verbs.shared import guarded, patch, print_json, say_failures


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
    patch()
    from rocminfra.runner.output import run_text
    from rocminfra.runner.run.playbook import Options, run

    options = Options(inventory, limit, data, wipe, files, verbose)
    result = guarded(
        "plan", as_json, lambda progress: run("plan", options, progress, apply=False), verbose
    )
    code = result.code
    if exit_code and code is ExitCode.DONE and result.changes:
        code = ExitCode.CHANGES
    if as_json:
        print_json(result, code)
    else:
        run_text.print_plan(result, verbose)
    say_failures(result, options.command("plan"), options)
    if result.changes and code in (ExitCode.DONE, ExitCode.CHANGES):
        run_text.message(f"next: {options.command('apply')}")
    return code
