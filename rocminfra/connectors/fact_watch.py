"""How the connector knows that a command belongs to a fact.

pyinfra hands a connector only commands: ``run_shell_command`` looks the same for a fact and for a
change. Deploys and operations read facts in one public way, ``host.get_fact``, and a connector
knows its host; so it puts a :class:`FactWatch` in front of that one host's ``get_fact``. It touches
none of pyinfra's modules or classes, and no host of another connector in the same run.

The watch only says "this fact is being read". Whether a command *is* this fact's is checked by
building it again from the fact's class and arguments and comparing the text
(:meth:`Asked.is_command`). A command that something else sends meanwhile (a fact class that runs
commands of its own, pyinfra's sudo password helper) is therefore not taken for the fact. Facts read
through ``pyinfra.api.facts.get_fact`` are not recognised either, which only costs time.

Some facts read others before they know their own command (``server.Mounts`` reads the kernel's
name). When such a command is built again, the others' earlier answers are used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import FactBase, ShortFactBase, StringCommand
from pyinfra.api.host import Host
from pyinfra.context import ctx_host
from pyinfra.facts.server import Kernel, Which

from rocminfra.connectors.allowlist import Fact
from rocminfra.connectors.questions import bind, command_of

Nested = Callable[[Fact, tuple[Any, ...], Mapping[str, Any]], Any]


class NotKnownError(Exception):
    """A fact's command depends on another fact that has not been read yet."""


@dataclass
class Asked:
    """A fact that pyinfra is reading.

    + fact, args, kwargs: as given to ``host.get_fact``
    + nested: answers of the facts that it read itself
    """

    host: Host
    fact: Fact
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    nested: dict[tuple[Fact, str], Any] = field(default_factory=dict)

    @functools.cached_property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the fact's command, all defaults filled in."""
        return bind(self.fact, self.args, self.kwargs)

    def is_command(self, command: StringCommand | str) -> bool:
        """Whether ``command`` is what this fact sends."""
        text = command if isinstance(command, str) else command.get_raw_value()
        built = rebuilt(self.host, self.fact, self.arguments, self._answered)
        return built is not None and built.get_raw_value() == text

    def _answered(self, fact: Fact, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        try:
            return self.nested[_key(fact, args, kwargs)]
        except KeyError:
            raise NotKnownError(fact.name) from None


class FactWatch:
    """Stands in front of a host's ``get_fact`` and notes which fact is being read."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ask = host.get_fact

    @classmethod
    def over(cls, host: Host) -> FactWatch:
        """Put a watch over ``host``, or return the one it has."""
        present = vars(host).get("get_fact")
        if isinstance(present, cls):
            return present
        watch = cls(host)
        # The attribute of this one object, not of the class.
        vars(host)["get_fact"] = watch
        return watch

    def __call__(self, name_or_cls: Any, *args: Any, **kwargs: Any) -> Any:
        fact = _plain_fact(name_or_cls)
        if fact is None:
            return self._ask(name_or_cls, *args, **kwargs)
        rebuilding = _REBUILDING.get()
        if rebuilding is not None:
            return rebuilding(fact, args, kwargs)
        outer = _ASKED.get()
        token = _ASKED.set(Asked(self._host, fact, args, kwargs))
        try:
            value = self._ask(name_or_cls, *args, **kwargs)
        finally:
            _ASKED.reset(token)
        if outer is not None and outer.host is self._host and name_or_cls is fact:
            outer.nested[_key(fact, args, kwargs)] = value
        return value


def asked_now(host: Host) -> Asked | None:
    """The fact being read from ``host``, if any."""
    asked = _ASKED.get()
    return asked if asked is not None and asked.host is host else None


def rebuilt(
    host: Host, fact: Fact, arguments: Mapping[str, Any], nested: Nested
) -> StringCommand | None:
    """The command of a fact, or None when it cannot be built; sends nothing to the host.

    + nested: answers the facts that the fact reads to build its command
    """
    with _rebuilding(nested), ctx_host.use(host):
        try:
            return command_of(fact, arguments)
        except Exception:
            # A class may raise anything for arguments it was not written for. Such a command is
            # not known to be the fact's.
            return None


def nothing_may_run() -> None:
    """Raise :class:`NotKnownError` while a command is being built: nothing may reach a host."""
    if _REBUILDING.get() is not None:
        raise NotKnownError("a fact that runs commands to build its own cannot be built ahead")


def guess(fact: Fact, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What most hosts answer, to build commands before anything was read from the host.

    A wrong guess builds a command that nobody asks for; nothing is decided by it.
    """
    if fact is Kernel:
        return "Linux"
    if fact is Which:
        return "/usr/bin/ss" if (args or tuple(kwargs.values())) == ("ss",) else None
    raise NotKnownError(fact.name)


_ASKED: ContextVar[Asked | None] = ContextVar("rocminfra_asked", default=None)
_REBUILDING: ContextVar[Nested | None] = ContextVar("rocminfra_rebuilding", default=None)


@contextmanager
def _rebuilding(nested: Nested) -> Iterator[None]:
    token = _REBUILDING.set(nested)
    try:
        yield
    finally:
        _REBUILDING.reset(token)


def _plain_fact(asked: Any) -> Fact | None:
    while isinstance(asked, type) and issubclass(asked, ShortFactBase):
        asked = asked.fact
    return asked if isinstance(asked, type) and issubclass(asked, FactBase) else None


def _key(fact: Fact, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Fact, str]:
    return fact, repr((args, sorted(kwargs.items())))
