"""Options that verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def host_options(function: F) -> F:
    """Options of every verb that talks to hosts."""
    for option in reversed(
        (
            click.option(
                "-i",
                "--inventory",
                metavar="FILE",
                help="pyinfra inventory, or names with commas between them"
                " [default: inventory/amd_cloud.py]",
            ),
            click.option(
                "--limit", multiple=True, metavar="HOST", help="only these hosts or groups"
            ),
            click.option(
                "--data",
                multiple=True,
                metavar="KEY=VALUE",
                help="override a setting for this run, such as vllm.max_num_seqs=32",
            ),
            click.option("--json", "as_json", is_flag=True, help="JSON on stdout"),
            click.option(
                "-v", "--verbose", count=True, help="say more; twice: pyinfra's debug log"
            ),
        )
    ):
        function = option(function)
    return function


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
