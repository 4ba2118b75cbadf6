"""``rocminfra lock``: who is at work on a host; and breaking the lock, with a reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rocminfra.failure import Do, ExitCode, FailedError, Fault
from rocminfra.runner.verbs.asking import answer_with, hosts_argument
from rocminfra.runner.verbs.options import command, host_options
from rocminfra.runner.verbs.shared import patch

if TYPE_CHECKING:
    from pyinfra.api.host import Host

    from rocminfra.runner.hosts.asking import Answered
    from rocminfra.runner.hosts.book import Holder
    from rocminfra.runner.run.session import Progress, Session


@command(
    "rocminfra lock",
    "rocminfra lock mi300x-1 --break 'its laptop is off until Monday'",
)
@hosts_argument
@click.option(
    "--break",
    "reason",
    metavar="REASON",
    help="take the lock from the run that holds it, and write REASON down for events",
)
@host_options
def lock(
    hosts: tuple[str, ...],
    reason: str | None,
    inventory: str | None,
    limit: tuple[str, ...],
    data: tuple[str, ...],
    as_json: bool,
    verbose: int,
) -> ExitCode:
    """Say who is at work on the hosts.

    A lock ends by itself with its run, also with one that is killed or loses its connection.
    Breaking it lets the next run begin while that one may still be at work; the host has to be
    named.
    """
    patch()
    from rocminfra.runner.hosts.asking import ask_hosts
    from rocminfra.runner.hosts.book import break_lock, read_lock
    from rocminfra.runner.output.book_text import holder_words, print_locks
    from rocminfra.runner.output.terminal import message
    from rocminfra.runner.run.options import Options

    options = Options(inventory, (*limit, *hosts), data, verbosity=verbose)
    asked: list[str] = []

    def ask(session: Session, host: Host, _settings: object) -> Holder | None:
        if reason is None:
            found = read_lock(session, host)
        else:
            found = break_lock(session, host, reason.strip())
            if found is None:
                message(f"{host.name}: no run holds the lock")
            else:
                message(f"{host.name}: broken was the lock of {holder_words(found)}")
                message(f"to end that run as well, on {host.name}: kill {found.pid}")
        asked.append(host.name)
        return found

    def work(progress: Progress) -> Sequence[Answered[Holder | None]]:
        if reason is not None:
            _check_break(reason, named=bool(options.limit))
        return ask_hosts("lock", options, progress, ask)

    key = "holder" if reason is None else "broken"
    return answer_with(
        "lock",
        as_json,
        work,
        lambda found: {
            "holder": None,
            "broken": None,
            key: None if found is None else dataclasses.asdict(found),
        },
        lambda answers: print_locks(answers, asked) if reason is None else None,
    )


def _check_break(reason: str, named: bool) -> None:
    if not reason.strip():
        raise FailedError(
            Fault.OPTION_INVALID,
            "--break wants a reason, which others read in rocminfra events",
            next=Do("rocminfra lock HOST --break 'its laptop is off until Monday'"),
        )
    if not named:
        raise FailedError(
            Fault.OPTION_INVALID,
            "a lock is broken on the hosts that are named, and none is",
            next=Do("rocminfra lock   # says which host is locked"),
        )
