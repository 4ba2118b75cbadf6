"""``rocminfra logs``: what engine, image, download and benchmark wrote on the hosts."""

from __future__ import annotations

import dataclasses
import json

import click

from rocminfra.failure import ExitCode, FailedError, most_severe
from rocminfra.runner.verbs.asking import answer_with, hosts_argument
from rocminfra.runner.verbs.options import command, host_options
from rocminfra.runner.verbs.shared import patch, progress_shown

# Of each host, unless --since or --lines says otherwise.
LINES = 100


@command(
    "rocminfra logs",
    "rocminfra logs -f mi300x-1",
    "rocminfra logs --since 10m --source engine",
    "rocminfra logs -f --json | jq -r .text",
)
@hosts_argument
@click.option("-f", "--follow", is_flag=True, help="go on with new lines until Ctrl-C")
@click.option(
    "--since", metavar="TIME", help="10m, 2h or 1d ago, or a time such as 2026-01-31T09:30 (UTC)"
)
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0),
    default=None,
    help=f"old lines of a host at most [default: {LINES}; all with --since]",
)
@click.option(
    "--source",
    multiple=True,
    type=click.Choice(["engine", "image", "download", "benchmark"]),
    help="only what this wrote; may be repeated [default: all]",
)
@host_options
def logs(
    hosts: tuple[str, ...],
    follow: bool,
    since: str | None,
    lines: int | None,
    source: tuple[str, ...],
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
) -> ExitCode:
    """Show what engine, image, download and benchmark wrote on the hosts.

    Times are UTC, and tokens are masked. --follow --json prints one JSON object a line.
    """
    patch()
    from rocminfra.runner.hosts.asking import Answered
    from rocminfra.runner.hosts.logs import UNITS, Line, Wanted, merged, read_logs, since_of
    from rocminfra.runner.output import log_text, run_text
    from rocminfra.runner.output.run_json import error_document, failure_document
    from rocminfra.runner.run.options import Options
    from rocminfra.runner.run.session import Progress

    options = Options(inventory, (*limit, *hosts), data, verbosity=verbose)

    def read(
        progress: Progress, show: log_text.Show | None
    ) -> tuple[Answered[tuple[Line, ...]], ...]:
        most = lines if lines is not None or since is not None else LINES
        begin = None if since is None else since_of(since)
        wanted = Wanted(source or tuple(UNITS), most, begin, follow)
        return read_logs(options, progress, wanted, show)

    if not follow:
        return answer_with(
            "logs",
            as_json,
            lambda progress: read(progress, None),
            lambda answer: {
                "lines": [_without_host(dataclasses.asdict(line)) for line in answer or ()]
            },
            lambda answers: log_text.print_lines(merged(answers), several=len(answers) > 1),
        )
    try:
        shown = log_text.json_line if as_json else log_text.follower()
        answers = read(progress_shown(quiet=True), shown)
    except FailedError as error:
        if not as_json:
            raise
        print(json.dumps(error_document("logs", error), ensure_ascii=False))
        return error.failure.kind
    for answered in answers:
        for failure in answered.failures:
            if as_json:
                document = {"host": answered.name, "failure": failure_document(failure)}
                print(json.dumps(document, ensure_ascii=False), flush=True)
            run_text.print_failure(failure)
    return most_severe(answered.code for answered in answers)


def _without_host(line: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in line.items() if key != "host"}
