"""Pieces of commands that several operations yield."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.command import PyinfraCommand

# What an operation's function returns.
Commands: TypeAlias = Generator[PyinfraCommand, None, None]


def systemctl(verb: str, unit: str) -> StringCommand:
    """``systemctl VERB UNIT``; when it fails, the unit's last log lines are part of the error.

    + verb: such as ``start`` or ``restart``
    + unit: name of the unit
    """
    return StringCommand(
        *("systemctl", verb, QuoteString(unit)),
        "|| { code=$?; journalctl --lines 20 --no-pager --output cat --unit",
        QuoteString(unit),
        ">&2; exit $code; }",
    )
