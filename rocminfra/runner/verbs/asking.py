"""What the verbs share that ask hosts and print what they answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rocminfra.failure import ExitCode, FailedError, most_severe
from rocminfra.runner.verbs.shared import progress_shown

if TYPE_CHECKING:
    from rocminfra.runner.hosts.asking import Answered
    from rocminfra.runner.run.session import Progress

T = TypeVar("T")

hosts_argument = click.argument("hosts", nargs=-1, metavar="[HOST]...")


def answer_with(
    verb: str,
    as_json: bool,
    work: Callable[[Progress], Sequence[Answered[T]]],
    body: Callable[[T | None], Mapping[str, Any]],
    show: Callable[[Sequence[Answered[T]]], None],
) -> ExitCode:
    """Ask, print and return the exit code; with ``--json`` whatever happens is a document.

    + work: asks the hosts
    + body: a host's own keys in the document
    + show: prints the answers for people
    """
    from rocminfra.runner.output import run_text
    from rocminfra.runner.output.hosts_json import hosts_document
    from rocminfra.runner.output.live import Shown
    from rocminfra.runner.output.run_json import dump

    progress = progress_shown(quiet=True)
    try:
        with Shown(progress.activities):
            answers = work(progress)
        error = None
    except FailedError as problem:
        if not as_json:
            raise
        answers, error = (), problem.failure
    if as_json:
        print(dump(hosts_document(verb, answers, body, error)))
    else:
        show(answers)
    for answered in answers:
        for failure in answered.failures:
            run_text.print_failure(failure)
    if error is not None:
        run_text.print_failure(error)
        return error.kind
    return most_severe(answered.code for answered in answers)
