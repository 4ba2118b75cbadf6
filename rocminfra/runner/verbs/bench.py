"""``rocminfra bench``: benchmark the engine and bring the results back."""

from __future__ import annotations

from pathlib import Path

import click

from rocminfra.failure import ExitCode
from rocminfra.runner.verbs.options import host_options, junit_option
from rocminfra.runner.verbs.shared import guarded, patch, report, run_bench


@click.command()
@host_options
@click.option("--scenario", metavar="NAME", help="a file of benchmarks/, or a path")
@click.option("--resume", metavar="RUN", help="go on with this run, such as 20260131T093000Z")
@junit_option
def bench(
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
    scenario: str | None,
    resume: str | None,
    junit: Path | None,
) -> ExitCode:
    """Benchmark the engine and bring the results back."""
    patch()
    from rocminfra.runner.run.playbook import Options, benchmark_data

    extra = benchmark_data(data, scenario, resume)
    options = Options(inventory, limit, extra, verbosity=verbose)
    result = guarded("bench", as_json, lambda progress: run_bench(options, progress), verbose)
    report(result, as_json, options.command("bench"), junit=junit)
    return result.code
