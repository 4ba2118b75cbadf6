"""docs/command.md says what the command does."""

from __future__ import annotations

import re
from pathlib import Path

import click

from rocminfra.failure import SEVERITY, ExitCode
from rocminfra.runner.cli import VERBS
from rocminfra.runner.verbs import shared

PAGE = (Path(__file__).parents[3] / "docs" / "command.md").read_text(encoding="utf-8")


def test_every_exit_code_is_listed_and_no_other() -> None:
    listed = [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)]
    assert listed == sorted(ExitCode)


def test_the_order_of_severity_is_the_real_one() -> None:
    match = re.search(r"the first of these counts: ([\d, ]+)\.", PAGE)
    assert match is not None
    assert [int(code) for code in match[1].split(", ")] == list(SEVERITY[:-1])


def test_every_verb_and_option_is_listed() -> None:
    for verb in VERBS:
        assert f"`rocminfra {verb}" in PAGE
    for command in vars(shared).values():
        if not isinstance(command, click.Command):
            continue
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert any(re.search(rf"{name}\b", PAGE) for name in parameter.opts), parameter
