"""``rocminfra results``: benchmark runs that are on this machine, and their tables again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from rocminfra.failure import Do, ExitCode, FailedError, Fault

DEFAULT = Path("results")


@click.command(
    short_help="List benchmark runs that are here; print a table again.",
    help="""\b
rocminfra results                                 every run that is here
rocminfra results last                            the last one's table
rocminfra results 20260513T101500Z-3fa9c1 --json

Without RUN it lists the runs of the results folder, the newest first; with RUN (a name, a folder or
`last`) it prints the run's table again, with p95 and p99. Nothing is asked of any host.
""",
)
@click.argument("run", required=False, metavar="[RUN]")
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT,
    show_default=True,
    metavar="FOLDER",
    help="folder of all runs",
)
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout")
def results(run: str | None, results: Path, as_json: bool) -> ExitCode:
    from rocminfra.report.reading.runs import find_run, list_results, read_latencies
    from rocminfra.report.table import lines, read_table
    from rocminfra.runner.output.results_out import latency_lines, list_lines, results_document
    from rocminfra.runner.output.run_json import dump
    from rocminfra.runner.output.run_text import print_failure

    try:
        if run is None:
            found = list_results(results)
            if as_json:
                print(dump(results_document(found=found)))
            else:
                print(*list_lines(found), sep="\n")
            return ExitCode.DONE
        folder = find_run(run, results)
        table, latencies = read_table(folder), read_latencies(folder)
        if not table.rows:
            raise FailedError(
                Fault.RESULTS_NOT_FOUND,
                f"{folder} holds no results of a benchmark",
                next=Do("rocminfra results"),
            )
    except FailedError as error:
        if not as_json:
            raise
        print(dump(results_document(error=error.failure)))
        print_failure(error.failure)
        return error.failure.kind
    if as_json:
        rows = [dataclasses.asdict(row) for row in table.rows]
        print(dump(results_document(folder=folder, rows=rows, latencies=latencies)))
    else:
        print(*lines(table), "", *latency_lines(latencies), sep="\n")
        print(f"results: {folder}")
    return ExitCode.DONE
