"""One question to every host at once; a host that cannot answer does not hide the others."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from pyinfra.api.host import Host
from pyinfra.context import ctx_config, ctx_host

from rocminfra.failure import Do, ExitCode, FailedError, Failure, Fault, most_severe
from rocminfra.runner.run.execution import on_each
from rocminfra.runner.run.options import Options
from rocminfra.runner.run.session import Progress, Request, Session
from rocminfra.runner.run.targets import inventory_argument, parse_data
from rocminfra.settings import Settings, load_settings

T = TypeVar("T")


@dataclass(frozen=True)
class Answered(Generic[T]):
    """What one host answered.

    + name: the host
    + answer: None when it could not be asked
    + failures: why, or what was wrong besides
    """

    name: str
    answer: T | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def code(self) -> ExitCode:
        """Exit code that this host alone would give."""
        return most_severe(failure.kind for failure in self.failures)


def request_of(verb: str, options: Options) -> Request:
    """A session's request that runs no playbook; raises :class:`FailedError` for wrong options."""
    return Request(
        command=options.summary(verb),
        again=partial(options.again, verb),
        inventory=inventory_argument(options.inventory),
        folder=Path.cwd(),
        limit=options.limit,
        data=parse_data(options.data, options.wipe),
        detect_changes=False,
        verbosity=options.verbosity,
    )


def ask_hosts(
    verb: str,
    options: Options,
    progress: Progress,
    ask: Callable[[Session, Host, Settings], T],
) -> tuple[Answered[T], ...]:
    """Ask every host; raises :class:`FailedError` for wrong options.

    + ask: what to ask one host; what it raises is that host's failure
    """
    with Session(request_of(verb, options), progress) as session:
        session.connect()
        return ask_in(session, ask)


def ask_in(
    session: Session, ask: Callable[[Session, Host, Settings], T], what: str = "Ask"
) -> tuple[Answered[T], ...]:
    """Ask the connected hosts of a session; those that are not are part of the answers.

    + what: what is done there, for whoever waits
    """
    found: dict[str, T] = {}

    def run(host: Host) -> bool:
        with (
            ctx_config.use(session.state.config.copy()),
            ctx_host.use(host),
            session.activities.begin(what, host.name),
        ):
            found[host.name] = ask(session, host, settings_of(host))
        return True

    on_each(session.state, session.active, run)
    return tuple(
        Answered(result.name, found.get(result.name), result.failures)
        for result in session.results()
    )


def settings_of(host: Host) -> Settings:
    """The settings of a host."""
    return load_settings(host.data.dict())  # type: ignore[no-untyped-call]


def only_host(session: Session, verb: str, options: Options, words: tuple[str, ...] = ()) -> Host:
    """The host of a verb that is about one.

    + words: of its command line besides the options

    Raises :class:`FailedError` when there are several, or why it could not be connected to.
    """
    if len(session.hosts) > 1:
        names = [host.name for host in session.hosts]
        raise FailedError(
            Fault.ONE_HOST_ONLY,
            f"{verb} is about one host, and there are {len(names)}",
            (f"hosts: {', '.join(names)}",),
            Do(shlex.join((*shlex.split(options.command(verb, names[0])), *words))),
        )
    for result in session.results():
        if result.failures:
            raise FailedError.of(result.failures[0])
    return session.hosts[0]
