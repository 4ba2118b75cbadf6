"""A group of verbs that are imported when they are called, so that help is instant."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import ClassVar

import click


class LazyVerbs(click.Group):
    """A group that imports a verb when it is called, and not for the help.

    + verbs: where each is (``module:name``) and its line in the help
    """

    verbs: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.verbs:
            return None
        module, name = self.verbs[cmd_name][0].split(":")
        command = vars(importlib.import_module(module))[name]
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.verbs[cmd_name][0]} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in self.verbs.items()])
