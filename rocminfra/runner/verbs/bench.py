"""``rocminfra bench``: benchmark the engine and bring the results back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocminfra.failure import ExitCode
from rocminfra.runner.verbs.bench_runs import (
    attach_verb,
    collect_verb,
    list_verb,
    status_verb,
    stop_verb,
)
from rocminfra.runner.verbs.options import host_options, junit_option
from rocminfra.runner.verbs.shared import guarded, patch, report, run_bench

if TYPE_CHECKING:
    from rocminfra.runner.run.results import RunResult
    from rocminfra.runner.run.session import Progress

EXAMPLES = """\b
rocminfra bench --scenario synthetic_sweep     measure, and bring the results back
rocminfra bench --resume                       go on with the last run
rocminfra bench list                           runs that the hosts know
rocminfra bench status                         how far the last one is
rocminfra bench attach                         follow it to its end
rocminfra bench stop && rocminfra bench collect

\b
A benchmark goes on on its hosts whatever happens here: Ctrl-C leaves it running.
`rocminfra results` prints a table again.
"""


class RunByDefault(click.Group):
    """A group whose verb ``run`` may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=RunByDefault,
    help=EXAMPLES,
    short_help="Benchmark the engine, bring results back.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def bench() -> None:
    pass


@bench.command(
    "run",
    short_help="Measure, and bring the results back (may be left out).",
    help="""\b
rocminfra bench run --scenario synthetic_sweep
rocminfra bench run --resume                 the last run
rocminfra bench run --resume 20260513T101500Z-3fa9c1

Benchmark the engine and bring the results back. What cannot succeed is refused in seconds, before
anything is installed. A resumed run keeps its valid points.
""",
)
@host_options
@click.option("--scenario", metavar="NAME", help="a file of benchmarks/, or a path")
@click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    metavar="[RUN]",
    help="go on with this run, or with the last one",
)
@junit_option
def run_verb(
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
    scenario: str | None,
    resume: str | None,
    junit: Path | None,
) -> ExitCode:
    patch()
    from rocminfra.runner.run.bench_runs import resumed_run
    from rocminfra.runner.run.options import Options
    from rocminfra.runner.run.playbook import benchmark_data

    given = Options(inventory, limit, data, verbosity=verbose)
    chosen = [given]

    def work(progress: Progress) -> RunResult:
        run, wanted = resume, scenario
        is_named = any(item.startswith("bench.scenario=") for item in data) or wanted is not None
        if resume == "" or (resume is not None and not is_named):
            run, was = resumed_run(resume or None, given, progress)
            wanted = wanted if is_named else was
        extra = benchmark_data(data, wanted, run)
        chosen[0] = Options(inventory, limit, extra, verbosity=verbose)
        return run_bench(chosen[0], progress)

    result = guarded("bench", as_json, work, verbose)
    report(result, as_json, chosen[0], chosen[0].command("bench"), junit=junit)
    return result.code


for command in (list_verb, status_verb, attach_verb, stop_verb, collect_verb):
    bench.add_command(command)
