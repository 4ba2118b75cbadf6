"""Options that verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, overload

import click

F = TypeVar("F", bound=Callable[..., Any])


class _WithExamples(click.Command):
    """A command whose help begins with examples: what people look for first."""

    examples: tuple[str, ...] = ()

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write_text(line)
        formatter.write_paragraph()
        super().format_help(ctx, formatter)


def command(*examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    """``click.command`` for a verb whose help begins with these command lines."""
    kind: type[click.Command] = type("Command", (_WithExamples,), {"examples": examples})

    def decorate(function: Callable[..., Any]) -> click.Command:
        return click.command(cls=kind)(function)

    return decorate


@overload
def host_options(function: F) -> F: ...
@overload
def host_options(*, as_json: bool) -> Callable[[F], F]: ...
def host_options(function: F | None = None, *, as_json: bool = True) -> F | Callable[[F], F]:
    """Options of every verb that talks to hosts.

    + as_json: whether it has ``--json``
    """

    def decorate(function: F) -> F:
        for option in reversed(_HOST_OPTIONS):
            if as_json or option is not _JSON:
                function = option(function)
        return function

    return decorate if function is None else decorate(function)


_JSON = click.option("--json", "as_json", is_flag=True, help="JSON on stdout")
_HOST_OPTIONS = (
    click.option(
        "-i",
        "--inventory",
        metavar="FILE",
        help="pyinfra inventory, or names with commas between them"
        " [default: inventory/amd_cloud.py]",
    ),
    click.option("--limit", multiple=True, metavar="HOST", help="only these hosts or groups"),
    click.option(
        "--data",
        multiple=True,
        metavar="KEY=VALUE",
        help="override a setting for this run, such as vllm.max_num_seqs=32",
    ),
    _JSON,
    click.option("-v", "--verbose", count=True, help="say more; twice: pyinfra's debug log"),
)

wipe_option = click.option(
    "--wipe",
    multiple=True,
    metavar="TOKEN",
    help="destroy the data that this token names, as a refusal printed it",
)
junit_option = click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="also write the results as JUnit XML, for CI",
)
files_argument = click.argument("files", nargs=-1, metavar="[FILE]...")
