"""Commands shared by several operations."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.command import PyinfraCommand

# Return type of an operation's function.
Commands: TypeAlias = Generator[PyinfraCommand, None, None]


def systemctl(verb: str, unit: str) -> StringCommand:
    """``systemctl VERB UNIT``. If it fails, the error includes the unit's last log lines.

    + verb: such as ``start`` or ``restart``
    + unit: the unit's name
    """
    return StringCommand(
        *("systemctl", verb, QuoteString(unit)),
        "|| { code=$?; journalctl --lines 20 --no-pager --output cat --unit",
        QuoteString(unit),
        ">&2; exit $code; }",
    )
