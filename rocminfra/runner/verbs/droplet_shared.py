"""What the droplet verbs share: options, the cloud, and how they end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from rocminfra.droplets.cloud import Cloud
from rocminfra.droplets.interrupts import Interrupts
from rocminfra.droplets.opening import open_cloud
from rocminfra.failure import Do, ExitCode, FailedError, Failure, Fault, lines
from rocminfra.runner.output.droplet_json import document, failure_data
from rocminfra.runner.output.droplet_text import say

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Answer:
    """What a verb has to tell.

    + lines: for stdout
    + content: the same for ``--json``
    + failures: what went wrong besides; the last is the most important
    """

    code: int = ExitCode.DONE
    lines: tuple[str, ...] = ()
    content: dict[str, Any] | None = None
    failures: tuple[Failure, ...] = ()


def cloud_options(function: F) -> F:
    """Options of every droplet verb."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="JSON on stdout"),
        click.option("--endpoint", metavar="URL", help="the cloud's API"),
    ):
        function = option(function)
    return function


def answering(
    verb: str, endpoint: str | None, as_json: bool, work: Callable[[Cloud], Answer]
) -> int:
    """Do a verb's work and print what came of it; the exit code."""
    cloud: Cloud | None = None
    with Interrupts(say) as interrupts:
        try:
            cloud = open_cloud(os.environ, endpoint, interrupts, say)
            answer = work(cloud)
        except FailedError as error:
            if as_json:
                code = int(error.failure.kind)
                shown = document(verb, code, cloud, error=failure_data(error.failure))
                _print(json.dumps(shown, indent=2))
            _say(error.failure)
            return int(error.failure.kind)
        finally:
            if cloud is not None:
                cloud.client.close()
    failed = [failure_data(failure) for failure in answer.failures]
    if as_json:
        content = {"failures": failed, **(answer.content or {})}
        _print(json.dumps(document(verb, answer.code, cloud, **content), indent=2))
    elif answer.lines:
        _print("\n".join(answer.lines))
    for failure in answer.failures:
        _say(failure)
    return int(answer.code)


def confirmed(question: str, yes: bool, command: str) -> None:
    """Ask, unless ``yes``; anything but yes ends the command.

    Raises :class:`FailedError` (3) where nobody can be asked, ``click.Abort`` for a no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise FailedError.of(
            Failure(
                Fault.NO_TERMINAL_TO_ASK,
                "this costs money, and there is no terminal to ask on",
                next=Do(f"{command} --yes"),
            )
        )
    if not click.confirm(question, default=False, err=True):
        raise click.Abort


def _say(failure: Failure) -> None:
    for line in lines(failure):
        say(line)


def _print(text: str) -> None:
    print(text, flush=True)
