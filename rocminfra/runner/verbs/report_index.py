"""``rocminfra report index RESULTS``: one page of all runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from rocminfra import __version__
from rocminfra.failure import ExitCode
from rocminfra.report.figures.history import read_history
from rocminfra.runner.output.index_file import write_index
from rocminfra.runner.output.report_text import history_lines
from rocminfra.runner.output.run_json import SCHEMA_VERSION, dump
from rocminfra.runner.output.terminal import message
from rocminfra.runner.verbs.report_shared import (
    answered,
    json_option,
    price_option,
    slo_option,
    wanted,
)


@click.command()
@click.argument(
    "results", metavar="RESULTS", type=click.Path(path_type=Path), default=Path("results")
)
@slo_option
@price_option
@json_option
def index(results: Path, slo: str, usd_per_hour: float | None, as_json: bool) -> ExitCode:
    """\b
    rocminfra report index results

    One page of all runs: what each found, the trend by scenario and host, links to the reports.
    """

    def work() -> ExitCode:
        history = read_history(results, wanted(slo, usd_per_hour, with_prediction=False))
        page = write_index(history)
        if as_json:
            document = {
                "schema": SCHEMA_VERSION,
                "rocminfra": __version__,
                "verb": "report index",
                "code": int(ExitCode.DONE),
                "folder": history.folder,
                "page": str(page),
                "runs": [dataclasses.asdict(line) for line in history.lines],
                "unreadable": [{"folder": name, "why": why} for name, why in history.unreadable],
                "error": None,
            }
            print(dump(document))
            return ExitCode.DONE
        if history.lines:
            print(*history_lines(history), sep="\n")
        else:
            message(f"no run in {results}")
        for name, why in history.unreadable:
            message(f"left out: {name}: {why}")
        print(f"index: {page}")
        return ExitCode.DONE

    return answered("report index", as_json, work)
