"""``rocminfra remove``: take away what rocminfra made on the hosts; never data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from rocminfra.failure import Do, ExitCode, FailedError, Fault
from rocminfra.runner.verbs.asking import answer_with, hosts_argument
from rocminfra.runner.verbs.options import command, host_options
from rocminfra.runner.verbs.shared import patch

if TYPE_CHECKING:
    from rocminfra.planning.removal import Removal
    from rocminfra.runner.hosts.asking import Answered
    from rocminfra.runner.run.session import Progress


@command(
    "rocminfra remove mi300x-1 --plan",
    "rocminfra remove mi300x-1",
    "rocminfra remove --limit 'mi300x-*' --yes --json",
)
@hosts_argument
@click.option("--plan", "only_plan", is_flag=True, help="only say what would go and what stays")
@click.option("--runs", "with_runs", is_flag=True, help="also benchmark runs kept on the host")
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@host_options
def remove(
    hosts: tuple[str, ...],
    only_plan: bool,
    with_runs: bool,
    yes: bool,
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
) -> ExitCode:
    """Take away what rocminfra made on the hosts: engine, Docker, settings, mount.

    Only what the host's own record says that apply made. A Docker that was there before stays, with
    the disk that it has its data on; data on the scratch disk is never touched. Shows the plan
    first and asks. `rocminfra apply` brings everything back.
    """
    patch()
    from rocminfra.runner.hosts.asking import ask_in, request_of
    from rocminfra.runner.output.removal_text import print_removal, removal_body
    from rocminfra.runner.output.terminal import message
    from rocminfra.runner.run.interrupts import ask
    from rocminfra.runner.run.options import Options
    from rocminfra.runner.run.session import Session

    options = Options(inventory, (*limit, *hosts), data, verbosity=verbose)
    agreed: dict[str, Removal] = {}

    def work(progress: Progress) -> Sequence[Answered[Removal]]:
        _check(options, only_plan, yes, as_json)
        from rocminfra.runner.hosts.removing import plan_removal
        from rocminfra.runner.hosts.removing import remove as remove_from

        request = request_of("remove", options)
        with Session(request, progress) as session:
            session.connect()
            planned = ask_in(session, lambda s, host, _: plan_removal(s, host, with_runs))
            plans = {one.name: one.answer for one in planned if one.answer is not None}
            if not as_json:
                print_removal(planned)
            if only_plan or not any(plan.steps for plan in plans.values()):
                return planned
            if not yes and not ask("remove this?"):
                message("not removed")
                return planned
            agreed.update(plans)
            done = {
                one.name: one
                for one in remove_from(
                    session,
                    plans,
                    with_runs,
                    lambda host, step: message(f"    [{host}] {step.words}"),
                )
            }
            return tuple(done.get(one.name, one) for one in planned)

    def body(plan: Removal | None) -> dict[str, Any]:
        return removal_body(plan, not only_plan)

    def show(answers: Sequence[Answered[Removal]]) -> None:
        for answered in answers:
            if answered.name in agreed and not answered.failures:
                print(f"{answered.name}: removed; its data stays")

    return answer_with("remove", as_json, work, body, show)


def _check(options: object, only_plan: bool, yes: bool, as_json: bool) -> None:
    if only_plan or yes or (sys.stdin.isatty() and not as_json):
        return
    raise FailedError(
        Fault.NO_TERMINAL_TO_ASK,
        "remove asks before it takes anything away, and there is no terminal to ask on"
        if not as_json
        else "remove asks before it takes anything away, and --json has nobody to ask",
        next=Do("rocminfra remove --plan   # then, with the same options: --yes"),
    )
