"""``rocminfra report RUN``: the report of one run."""

from __future__ import annotations

from pathlib import Path

import click

from rocminfra import __version__
from rocminfra.failure import ExitCode
from rocminfra.report import summary_json
from rocminfra.report.figures.report import make_report
from rocminfra.runner.output.report_files import write_report
from rocminfra.runner.output.report_text import report_lines
from rocminfra.runner.output.run_json import SCHEMA_VERSION, dump, failure_document
from rocminfra.runner.output.run_text import print_failure
from rocminfra.runner.output.terminal import message
from rocminfra.runner.verbs.report_shared import (
    answered,
    default_output,
    json_option,
    price_option,
    run_folder,
    slo_option,
    wanted,
)


@click.command()
@click.argument("run", metavar="RUN")
@slo_option
@price_option
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="folder of the report [default: report/ in the run's folder]",
)
@click.option(
    "--no-pictures", is_flag=True, help="summary.json, CSV and Markdown only, in a second"
)
@json_option
def build(
    run: str,
    slo: str,
    usd_per_hour: float | None,
    output: Path | None,
    no_pictures: bool,
    as_json: bool,
) -> ExitCode:
    """\b
    rocminfra report last
    rocminfra report results/20260513T101500Z --slo ttft_p95=2s,itl_p95=100ms
    rocminfra report results/20260513T101500Z --usd-per-hour 2.49 --output public

    The report of one run: a page to forward, summary.json, CSV and Markdown.

    Exits with 8 when the results are invalid; the report is written all the same and says why.
    """

    def work() -> ExitCode:
        folder = run_folder(run)
        message(f"reading {folder}")
        report = make_report(folder, wanted(slo, usd_per_hour))
        if not no_pictures:
            message("drawing the pictures")
        written = write_report(report, output or default_output(folder), not no_pictures)
        code = ExitCode.DONE if report.is_valid else ExitCode.BENCHMARK
        if written.why is not None:
            code = written.why.failure.kind if report.is_valid else code
        if as_json:
            document = {
                "schema": SCHEMA_VERSION,
                "rocminfra": __version__,
                "verb": "report",
                "code": int(code),
                "folder": str(written.folder),
                "files": [str(file) for file in written.files],
                "report": summary_json.document(report),
                "error": None if written.why is None else failure_document(written.why.failure),
            }
            print(dump(document))
            return code
        print(*report_lines(report), "", sep="\n")
        print(f"report: {written.best}")
        print(report.verdict)
        if written.why is not None:
            print_failure(written.why.failure)
        return code

    return answered("report", as_json, work)
