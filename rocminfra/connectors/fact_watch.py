"""How the connector knows that a command is a fact's.

pyinfra hands a connector nothing but commands: ``run_shell_command`` looks the same for a fact and
for an operation's change. There is one public way in which deploys and operations ask facts,
``host.get_fact``, and a connector is given its host; so the connector puts :class:`FactWatch` in
front of that one host's ``get_fact``. Nothing of pyinfra's modules or classes is touched, and hosts
of other connectors in the same run are not affected.

The watch only says "this fact is being asked". That a command *is* this fact's is then checked by
building it again from the fact's class and arguments and comparing the text
(:meth:`Asked.is_command`). So a command that something else sends while a fact is being asked (a
fact class that runs commands of its own, pyinfra making a sudo password helper) is what it is: not
a fact. Facts asked around ``host.get_fact`` (``pyinfra.api.facts.get_fact`` called directly) are
not recognised either, which costs time and nothing else.

Some facts ask others before they know their own command (``server.Mounts`` asks the kernel's
name). When such a command is built again, what the others answered is used, and nothing is asked.
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
    """A fact's command depends on another fact of which nothing is known yet."""


@dataclass
class Asked:
    """A fact that pyinfra is working on.

    + fact, args, kwargs: as given to ``host.get_fact``
    + nested: what the facts that it asked itself answered
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
    """Stands in front of a host's ``get_fact`` and notes which fact is being asked."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ask = host.get_fact

    @classmethod
    def over(cls, host: Host) -> FactWatch:
        """Put a watch over ``host``, or return the one that it has."""
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
    """The fact that is being asked of ``host``, if one is."""
    asked = _ASKED.get()
    return asked if asked is not None and asked.host is host else None


def rebuilt(
    host: Host, fact: Fact, arguments: Mapping[str, Any], nested: Nested
) -> StringCommand | None:
    """The command of a fact, or None when it cannot be built; nothing is asked of the host.

    + nested: answers the facts that the fact asks to know its command
    """
    with _rebuilding(nested), ctx_host.use(host):
        try:
            return command_of(fact, arguments)
        except Exception:
            # A class may do anything to arguments that it was not written for. Whatever it is,
            # such a command is not known to be the fact's.
            return None


def nothing_may_run() -> None:
    """Raise :class:`NotKnownError` while a command is being built: that must reach no host."""
    if _REBUILDING.get() is not None:
        raise NotKnownError("a fact that runs commands to know its own cannot be known before")


def guess(fact: Fact, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What most hosts answer, for the commands that are built before a host was asked anything.

    A wrong guess makes a command that nobody will ask for; it decides nothing.
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
