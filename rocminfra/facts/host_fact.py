"""The base of our facts: a pyinfra fact whose answer is told from a login shell's chatter."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from pyinfra.api import FactBase, StringCommand
from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.facts import _MISSING_COMMAND_MARKER

from rocminfra.host_answers import answer, framed, said_besides

T = TypeVar("T")


class HostFact(FactBase[T]):
    """A fact as every other: ``command`` says what to run, ``process`` reads what it printed.

    Around both of a subclass goes the frame of :mod:`rocminfra.host_answers`. An answer without any
    output is ``default()``. When there is no answer at all, pyinfra fails the host and shows what
    the host said instead. ``process`` of a fact that was asked nothing takes plain output.
    """

    def __init_subclass__(cls) -> None:
        own = vars(cls)
        if "command" in own:
            cls.command = _framing(own["command"])
        if "process" in own:
            cls.process = _reading(own["process"])  # type: ignore[assignment,method-assign]
        super().__init_subclass__()


def _framing(command: Callable[..., str | StringCommand]) -> Callable[..., str | StringCommand]:
    @functools.wraps(command)
    def made(self: Any, *args: Any, **kwargs: Any) -> str | StringCommand:
        self.was_asked = True
        plain = command(self, *args, **kwargs)
        if isinstance(plain, str):
            return framed(plain)
        return StringCommand(framed(plain.get_raw_value()))

    # pyinfra binds a fact's arguments by its signature, without looking through wrappers.
    made.__signature__ = inspect.signature(command)  # type: ignore[attr-defined]
    return made


def _reading(process: Callable[[Any, list[str]], T]) -> Callable[[Any, list[str]], T]:
    @functools.wraps(process)
    def read(self: Any, output: list[str]) -> T:
        found = answer(output)
        if found is None:
            if not getattr(self, "was_asked", False):
                return process(self, output)
            if _MISSING_COMMAND_MARKER in output:
                missing: T = self.default()
                return missing
            said = "; ".join(said_besides(output)[-3:])
            raise FactProcessError(f"the host gave no answer; its login shell said: {said}")
        return process(self, found) if found else self.default()

    return read
