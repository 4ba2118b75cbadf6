"""``rocminfra events``: who applied what on the hosts, and when."""

from __future__ import annotations

import dataclasses

import click

from rocminfra.failure import ExitCode
from rocminfra.runner.verbs.asking import answer_with, hosts_argument
from rocminfra.runner.verbs.options import command, host_options
from rocminfra.runner.verbs.shared import patch


@command(
    "rocminfra events",
    "rocminfra events mi300x-1 -v",
    "rocminfra events --json | jq -r '.hosts[].events[] | select(.outcome == \"failed\")'",
)
@hosts_argument
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(1, 10000),
    default=20,
    show_default=True,
    help="events of a host at most, the last ones",
)
@host_options
def events(
    hosts: tuple[str, ...],
    lines: int,
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
) -> ExitCode:
    """Say who applied what on the hosts, when, and how it ended.

    Every apply and bench writes this on the host itself, whoever runs it and from wherever; -v
    shows what each changed. There are no secrets in it. Plain pyinfra writes nothing.
    """
    patch()
    from rocminfra.runner.hosts.asking import ask_hosts
    from rocminfra.runner.hosts.book import Event, Run, read_events
    from rocminfra.runner.output.book_text import print_events
    from rocminfra.runner.run.options import Options

    options = Options(inventory, (*limit, *hosts), data)

    def documents(found: tuple[Event, ...] | None) -> list[dict[str, object]]:
        return [
            {"event": "run" if isinstance(one, Run) else "lock broken", **dataclasses.asdict(one)}
            for one in found or ()
        ]

    return answer_with(
        "events",
        as_json,
        lambda progress: ask_hosts(
            "events",
            options,
            progress,
            lambda session, host, _: read_events(session, host, lines),
        ),
        lambda found: {"events": documents(found)},
        lambda answers: print_events(answers, verbose > 0),
    )
