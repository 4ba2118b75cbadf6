"""Options that ``capacity`` and ``predict`` share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import click

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.planning.engine.gpus import GPUS
from rocminfra.planning.model.reference import REFERENCE_NAME
from rocminfra.runner import typed

model_option = click.option(
    "--model",
    default=None,
    help="a folder with config.json, such a file, or a repository of the hub, of which only "
    "kilobytes are fetched"
    f" [default: the host's, else {REFERENCE_NAME}]",
)
host_option = click.option(
    "--host",
    metavar="NAME",
    help="take what no option says from this host of inventory/hosts.yaml [default: its first one]",
)
gpu_option = click.option(
    "--gpu",
    type=click.Choice(sorted(GPUS), case_sensitive=False),
    default="mi300x",
    show_default=True,
)


dtype_option = click.option(
    "--dtype",
    type=click.Choice(["auto", "bfloat16", "float16", "float32"]),
    default="auto",
    show_default=True,
    help="of the weights as they are loaded",
)
block_size_option = click.option(
    "--block-size",
    type=click.IntRange(1, 1_024),
    default=16,
    show_default=True,
    help="tokens of a block of the KV cache",
)


class Finite(click.FloatRange):
    """A number that is neither infinite nor "not a number", which a range alone lets through."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not an amount", param, ctx)
        return number


overhead_option = click.option(
    "--overhead-gib",
    type=Finite(min=0, max=1_024),
    default=None,
    help="what a running engine of this kind showed to need besides weights and KV cache",
)


def page_size(text: str) -> tuple[int, int]:
    """Width and height of ``1700x2200``; raises :class:`FailedError` for anything else."""
    match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", text, re.ASCII)
    if match is None:
        raise FailedError(
            Fault.OPTION_INVALID,
            f"--page is WIDTHxHEIGHT in pixels, not {text[:40]!r}",
            next=Do(typed.changed("capacity", without="--page", more=["--page", "1700x2200"])),
        )
    return int(match[1]), int(match[2])


def several(
    one: Callable[[str], Any],
) -> Callable[[click.Context, click.Parameter, str | None], list[Any] | None]:
    """A callback that reads values with commas between them."""

    def read(ctx: click.Context, param: click.Parameter, text: str | None) -> list[Any] | None:
        if text is None:
            return None
        try:
            return [one(item.strip()) for item in text.split(",")]
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None

    return read


def gpu_key(text: str) -> str:
    """A key of the table of GPUs; ValueError for another."""
    if text.lower() not in GPUS:
        raise ValueError(f"{text!r} is none of {', '.join(sorted(GPUS))}")
    return text.lower()


def positive(text: str) -> int:
    """A whole number above 0; ValueError for another."""
    number = int(text)
    if number < 1:
        raise ValueError(f"{text} is not above 0")
    return number


def pixels(text: str) -> int | None:
    """A cap of an image's pixels, or ``none``."""
    return None if text == "none" else positive(text)


def kv_dtype(text: str) -> str:
    """``auto`` or ``fp8``; ValueError for another."""
    if text not in ("auto", "fp8"):
        raise ValueError(f"{text!r} is neither auto nor fp8")
    return text
