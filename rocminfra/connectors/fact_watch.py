"""Recognise the commands that belong to a fact.

pyinfra gives a connector only commands: ``run_shell_command`` looks the same for a fact and for a
change. Deploys and operations read facts through one public method, ``host.get_fact``, and a
connector knows its host. So it wraps that host's ``get_fact`` in a :class:`FactWatch`. It changes
none of pyinfra's modules or classes, and no host of another connector in the same run.

The watch only knows which fact is being read. To decide whether a command belongs to this fact, the
connector rebuilds the command from the fact's class and arguments and compares the text
(:meth:`Asked.is_command`). A command from elsewhere (a fact class that runs its own commands,
pyinfra's sudo password helper) is therefore not mistaken for the fact. Facts read through
``pyinfra.api.facts.get_fact`` are not recognised either, which only costs time.

Some facts read others before they know their own command (``server.Mounts`` reads the kernel's
name). Rebuilding such a command uses the others' earlier answers.
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
        """Arguments of the fact's command, with all defaults filled in."""
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
    """Wraps a host's ``get_fact`` and notes which fact is being read."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ask = host.get_fact

    @classmethod
    def over(cls, host: Host) -> FactWatch:
        """Wrap ``host``, or return its existing watch."""
        present = vars(host).get("get_fact")
        if isinstance(present, cls):
            return present
        watch = cls(host)
        # Set on this one object, not on the class.
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
    """The command of a fact, or None when it cannot be built. Sends nothing to the host.

    + nested: answers for the facts that the fact reads to build its command
    """
    with _rebuilding(nested), ctx_host.use(host):
        try:
            return command_of(fact, arguments)
        except Exception:
            # A class may raise anything for unexpected arguments. The command is then not
            # attributed to the fact.
            return None


def nothing_may_run() -> None:
    """Raise :class:`NotKnownError`: nothing may reach a host while a command is being built."""
    if _REBUILDING.get() is not None:
        raise NotKnownError(
            "a fact that runs commands to build its own command cannot be built ahead of time"
        )


def guess(fact: Fact, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The usual answers of a host, used to build commands before anything was read from it.

    A wrong guess only builds a command that is never used; no decision depends on it.
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
