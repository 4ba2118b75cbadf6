"""``rocminfra report``: what a benchmark's results say. Reads files only: no SSH, no internet."""

from __future__ import annotations

import click

from rocminfra.runner.lazy_verbs import LazyVerbs

# Verb: where it is, and its line in the help.
VERBS = {
    "build": (
        "rocminfra.runner.verbs.report_build:build",
        "The report of one run; what `report RUN` does.",
    ),
    "compare": ("rocminfra.runner.verbs.report_compare:compare_runs", "Runs side by side."),
    "gate": (
        "rocminfra.runner.verbs.report_gate:gate",
        "Fail when a run is worse than a baseline.",
    ),
    "index": ("rocminfra.runner.verbs.report_index:index", "One page of all runs."),
}


class ReportVerbs(LazyVerbs):
    """The verbs of ``report``; a folder in a verb's place is built."""

    verbs = VERBS

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*VERBS, "-h", "--help"):
            args = ["build", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ReportVerbs, context_settings={"help_option_names": ["-h", "--help"]})
def report() -> None:
    """\b
    rocminfra report last
    rocminfra report results/20260513T101500Z --slo ttft_p95=2s,itl_p95=100ms
    rocminfra report compare results/20260513T101500Z results/20260514T090000Z
    rocminfra report gate results/20260514T090000Z --baseline baseline.json
    rocminfra report index results

    What the results of a benchmark say: may they be believed, what load is served, what it costs,
    and what changed. Reads result folders only.
    """
