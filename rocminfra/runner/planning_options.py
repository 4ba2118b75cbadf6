"""Options that ``capacity`` and ``predict`` share."""

from __future__ import annotations

import re

import click

from rocminfra.planning.gpus import GPUS
from rocminfra.planning.reference_model import REFERENCE_NAME
from rocminfra.runner.errors import CommandError
from rocminfra.runner.exit_codes import ExitCode

model_option = click.option(
    "--model",
    default=REFERENCE_NAME,
    show_default=True,
    help="a folder with config.json, such a file, or a repository in the Hugging Face cache",
)
gpu_option = click.option(
    "--gpu",
    type=click.Choice(sorted(GPUS), case_sensitive=False),
    default="mi300x",
    show_default=True,
)


def page_size(text: str) -> tuple[int, int]:
    """Width and height of ``1700x2200``; raises :class:`CommandError` for anything else."""
    match = re.fullmatch(r"(\d+)[xX](\d+)", text)
    if match is None:
        raise CommandError(
            ExitCode.SETTINGS,
            f"--page is WIDTHxHEIGHT in pixels, not {text!r}",
            next_command="rocminfra capacity --page 1700x2200",
        )
    return int(match[1]), int(match[2])
