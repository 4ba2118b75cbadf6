"""``rocminfra status``: how the hosts are."""

from __future__ import annotations

from pathlib import Path

import click

from rocminfra.failure import ExitCode, FailedError
from rocminfra.runner.verbs.options import host_options, junit_option
from rocminfra.runner.verbs.shared import for_ci, patch, progress_shown


@click.command()
@host_options
@junit_option
def status(
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
    junit: Path | None,
) -> ExitCode:
    """Say how the hosts are: disk, Docker, unit, engine, model. Nothing is changed.

    Exits with 7 when an engine does not serve.
    """
    patch()
    from rocminfra.runner.output import run_text
    from rocminfra.runner.output.junit import status_cases
    from rocminfra.runner.output.live import Shown
    from rocminfra.runner.output.run_json import dump, status_document
    from rocminfra.runner.run.options import Options
    from rocminfra.runner.run.playbook import error_result
    from rocminfra.runner.run.status import read_status

    options = Options(inventory, limit, data, verbosity=verbose)
    try:
        progress = progress_shown(quiet=True)
        with Shown(progress.activities):
            hosts = read_status(options, progress)
        error = None
    except FailedError as problem:
        if not as_json:
            raise
        hosts, error = (), error_result("status", problem).error
    document = status_document(hosts, error)
    for_ci("status", junit, status_cases(hosts, error))
    if as_json:
        print(dump(document))
    else:
        run_text.print_status(hosts)
    for host in hosts:
        for failure in host.failures:
            run_text.print_failure(failure)
    if error is not None:
        run_text.print_failure(error)
    return ExitCode(document["code"])
