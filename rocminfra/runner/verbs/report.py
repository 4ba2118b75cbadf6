"""``rocminfra report``: what a benchmark's results say. Reads files only: no SSH, no internet."""

from __future__ import annotations

import importlib

import click

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


class ReportVerbs(click.Group):
    """Verbs that are imported when they are called; a folder in a verb's place is built."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, name = VERBS[cmd_name][0].split(":")
        command = vars(importlib.import_module(module))[name]
        if not isinstance(command, click.Command):
            raise TypeError(f"{VERBS[cmd_name][0]} is not a click command")
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*VERBS, "-h", "--help"):
            args = ["build", *args]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


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
