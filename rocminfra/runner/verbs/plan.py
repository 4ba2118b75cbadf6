"""``rocminfra plan``: what apply would change."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from rocminfra.failure import ExitCode
from rocminfra.runner.verbs.options import files_argument, host_options, wipe_option
from rocminfra.runner.verbs.shared import guarded, patch, print_json, say_failures


@click.command()
@files_argument
@host_options
@wipe_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="keep the plan, for apply --plan FILE",
)
@click.option("--exit-code", is_flag=True, help="exit with 2 when something would change")
def plan(
    files: tuple[str, ...],
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
    wipe: tuple[str, ...],
    out: Path | None,
    exit_code: bool,
) -> ExitCode:
    """Say what apply would change. Nothing is changed.

    FILE is a file of the playbook, deploy.py if none is given. With --out the plan is kept, and
    `apply --plan` does just that.
    """
    patch()
    from rocminfra.runner.output import run_text
    from rocminfra.runner.run import plan_file
    from rocminfra.runner.run.options import Options
    from rocminfra.runner.run.playbook import run

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
    if code not in (ExitCode.DONE, ExitCode.CHANGES):
        return code  # a plan with holes in it is not kept
    following = options.command("apply")
    if out is not None:
        plan_file.write(out, options, result)
        run_text.message(f"the plan is in {out}")
        following = f"rocminfra apply --plan {shlex.quote(str(out))}"
    if result.changes:
        run_text.message(f"next: {following}")
    return code
