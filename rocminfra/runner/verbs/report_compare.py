"""``rocminfra report compare A B [C…]``: runs side by side."""

from __future__ import annotations

import dataclasses

import click

from rocminfra import __version__
from rocminfra.failure import Do, ExitCode, FailedError, Fault
from rocminfra.report.comparison.compare import Comparison, compare
from rocminfra.report.comparison.published import published
from rocminfra.report.comparison.sides import pairs, subjects
from rocminfra.report.comparison.subject import Subject
from rocminfra.report.figures.report import Wanted, make_report
from rocminfra.runner.output.comparison_text import comparison_lines
from rocminfra.runner.output.run_json import SCHEMA_VERSION, dump
from rocminfra.runner.verbs.report_shared import answered, json_option, reference, run_folder


@click.command("compare")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option(
    "--reference",
    "published_run",
    metavar="NAME",
    help="the published run, mi300x-qwen2-vl-72b-2026-05-13, instead of the first RUN",
)
@click.option(
    "--anyway", is_flag=True, help="compare what is not comparable; the reasons are printed"
)
@json_option
def compare_runs(
    runs: tuple[str, ...], published_run: str | None, anyway: bool, as_json: bool
) -> ExitCode:
    """\b
    rocminfra report compare results/20260513T101500Z results/20260514T090000Z
    rocminfra report compare results/20260514T090000Z --reference mi300x-qwen2-vl-72b-2026-05-13

    Runs side by side, each with the first one: a figure is better, worse or within noise. What was
    configured differently comes first.

    Refuses runs of another model or other requests, and invalid ones.
    """

    def work() -> ExitCode:
        found = _comparisons(runs, published_run)
        refused = [one for one in found if one.refusals]
        if refused and not anyway:
            raise FailedError(
                Fault.RUNS_NOT_COMPARABLE,
                f"{refused[0].before} and {refused[0].after} are not comparable",
                refused[0].refusals,
                Do("compare runs of the same scenario and model, or add --anyway"),
            )
        if as_json:
            document = {
                "schema": SCHEMA_VERSION,
                "rocminfra": __version__,
                "verb": "report compare",
                "code": int(ExitCode.DONE),
                "comparisons": [
                    {**dataclasses.asdict(one), "verdict": one.verdict} for one in found
                ],
                "error": None,
            }
            print(dump(document))
            return ExitCode.DONE
        for one in found:
            print(*comparison_lines(one), one.verdict, "", sep="\n")
        return ExitCode.DONE

    return answered("report compare", as_json, work)


def _comparisons(runs: tuple[str, ...], published_run: str | None) -> list[Comparison]:
    sides = [_subjects(run) for run in runs]
    if published_run is not None:
        known = reference()
        if published_run != known["name"]:
            raise FailedError(
                Fault.OPTION_INVALID,
                f"nothing is published as {published_run}",
                next=Do(f"--reference {known['name']}"),
            )
        return [compare(published(known, one), one) for side in sides for one in side]
    if len(sides) < 2:
        raise FailedError(
            Fault.OPTION_INVALID,
            "one run alone cannot be compared",
            next=Do(f"rocminfra report compare {runs[0]} OTHER, or with --reference NAME"),
        )
    return [compare(*pair) for side in sides[1:] for pair in pairs(sides[0], side)]


def _subjects(run: str) -> tuple[Subject, ...]:
    return subjects(make_report(run_folder(run), Wanted(with_prediction=False)))
