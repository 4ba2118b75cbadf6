"""``rocminfra init``: the playbook in a folder of your own."""

from __future__ import annotations

from pathlib import Path

import click

from rocminfra.failure import ExitCode, FailedError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option("--ci", is_flag=True, help="also workflows for GitHub (docs/ci.md)")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout")
def init(folder: Path, ci: bool, as_json: bool) -> ExitCode:
    """Lay the playbook out in a folder of your own: deploy.py, inventory, tasks, templates."""
    from rocminfra.runner.output.run_json import dump, init_document
    from rocminfra.runner.verbs.init_files import init as lay_out
    from rocminfra.runner.verbs.init_files import next_commands

    try:
        laid_out = lay_out(folder, ci)
    except FailedError as error:
        if as_json:
            print(dump(init_document(str(folder), (), error)))
        raise
    if as_json:
        print(dump(init_document(str(folder), laid_out.files, None)))
        return ExitCode.DONE
    for file in laid_out.files:
        print(laid_out.folder / file)
    if Path(".gitignore") not in laid_out.files:
        click.echo(
            "there is a .gitignore already; for it: results/ and inventory/hosts.yaml", err=True
        )
    click.echo(f"{len(laid_out.files)} files in {laid_out.folder}. next:", err=True)
    for line in next_commands(laid_out.folder):
        click.echo(f"    {line}", err=True)
    return ExitCode.DONE
