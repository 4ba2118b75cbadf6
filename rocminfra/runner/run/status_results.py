"""How hosts are, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rocminfra.failure import ExitCode, Failure, most_severe


@dataclass(frozen=True)
class Part:
    """One part of a host's status.

    + good: whether it is as the settings say
    + words: for people, a few words
    + details: for machines; plain JSON values
    + cure: what helps when it is not good: a verb and its words, to which the host is added, or a
      whole command
    """

    good: bool
    words: str
    details: dict[str, Any] = field(default_factory=dict)
    cure: tuple[str, ...] | str | None = None


@dataclass(frozen=True)
class HostStatus:
    """How one host is.

    + name: the host
    + parts: what was asked, by name; empty when it cannot be reached
    + failures: why it could not be asked
    """

    name: str
    parts: Mapping[str, Part] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()

    @property
    def code(self) -> ExitCode:
        """NOT_READY when any part is not as it should be."""
        if self.failures:
            return most_severe(failure.kind for failure in self.failures)
        good = bool(self.parts) and all(part.good for part in self.parts.values())
        return ExitCode.DONE if good else ExitCode.NOT_READY
