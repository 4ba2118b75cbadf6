"""A question to a host: a fact class, its arguments, and the user it runs as."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import getcallargs
from typing import Any

from pyinfra.api import FactBase, StringCommand
from pyinfra.api.arguments import all_global_arguments
from pyinfra.api.facts import _MISSING_COMMAND_MARKER
from pyinfra.connectors.util import make_unix_command

from rocminfra.connectors.allowlist import (
    IDENTITY,
    Fact,
    arguments_allowed,
    find_fact,
    identity_allowed,
)
from rocminfra.connectors.learned_facts import Record

Arguments = Mapping[str, Any]

_GLOBAL_ARGUMENTS = frozenset(name for name, _ in all_global_arguments())

# With any of these, a command is more than its text, so it is never batched.
_NEVER = ("_sudo_password", "_su_password", "_get_pty", "_stdin")

# These become part of the command. Only the run may supply them, never a list: an environment can
# make any program run another one (LD_PRELOAD, PATH), and may contain secrets.
_SUPPLIED = ("_env", "_chdir", "_su_shell")


@dataclass(frozen=True)
class Question:
    """One question as stored in a learned list.

    + fact: dotted name of the fact's class
    + arguments: arguments of its ``command``, with all defaults
    + identity: connector arguments that select the user it runs as, without unset ones
    + supplied: names of values that the run itself must supply, such as ``_env:HOME,LANG``
    """

    fact: str
    arguments: Arguments
    identity: Arguments
    supplied: tuple[str, ...]

    @classmethod
    def asked(cls, fact: Fact, arguments: Arguments, connector_arguments: Arguments) -> Question:
        """The question that pyinfra asks now."""
        identity = {
            key: value
            for key, value in connector_arguments.items()
            if key in IDENTITY and value not in (None, False, "")
        }
        name = f"{fact.__module__}.{fact.__qualname__}"
        return cls(name, dict(arguments), identity, supplied_names(connector_arguments))

    @classmethod
    def read(cls, record: Record) -> Question | None:
        """The question in a learned list's record, or None when the record is not valid."""
        fact, arguments = record.get("fact"), record.get("arguments")
        identity, supplied = record.get("identity"), record.get("supplied")
        if not (isinstance(fact, str) and isinstance(arguments, dict)):
            return None
        if not (isinstance(identity, dict) and isinstance(supplied, list)):
            return None
        return cls(fact, arguments, identity, tuple(str(name) for name in supplied))

    @functools.cached_property
    def key(self) -> str:
        """A key that is equal for equal questions."""
        return repr(
            (
                self.fact,
                sorted(self.arguments.items()),
                sorted(self.identity.items()),
                self.supplied,
            )
        )

    def record(self) -> Record | None:
        """Its record for a list; None when it cannot be represented in JSON."""
        record = {
            "fact": self.fact,
            "arguments": dict(self.arguments),
            "identity": dict(self.identity),
            "supplied": list(self.supplied),
        }
        try:
            same = json.loads(json.dumps(record)) == record
        except (TypeError, ValueError):
            return None
        return record if same else None

    def allowed(self) -> Fact | None:
        """The fact class, if a list may run this question before the deploy asks it."""
        fact = find_fact(self.fact)
        if fact is None:
            return None
        if _ALLOWED.get(self.key) is fact:
            return fact
        if not (identity_allowed(self.identity) and arguments_allowed(fact, self.arguments)):
            return None
        if len(_ALLOWED) < _MOST_ALLOWED:
            _ALLOWED[self.key] = fact
        return fact


# Questions already found to be allowed; the hosts of a deploy share them.
_ALLOWED: dict[str, Fact] = {}
_MOST_ALLOWED = 10_000


def supplied_names(connector_arguments: Arguments) -> tuple[str, ...]:
    """Names, without values, of the arguments that only the run supplies."""
    names = []
    for key in _SUPPLIED:
        value = connector_arguments.get(key)
        if isinstance(value, Mapping) and value:
            names.append(f"{key}:{','.join(sorted(value))}")
        elif value and not isinstance(value, Mapping):
            names.append(key)
    return tuple(names)


def supplied_values(connector_arguments: Arguments) -> dict[str, Any]:
    """The arguments that only the run supplies, kept only in memory."""
    return {key: connector_arguments[key] for key in _SUPPLIED if connector_arguments.get(key)}


def bind(fact: Fact, args: tuple[Any, ...], kwargs: Arguments) -> dict[str, Any]:
    """Arguments of the fact's ``command``, bound as pyinfra binds them."""
    own = {key: value for key, value in kwargs.items() if key not in _GLOBAL_ARGUMENTS}
    if not args and not own:
        return {}
    bound = getcallargs(fact().command, *args, **own)
    bound.pop("self", None)
    return bound


def command_of(fact: Fact, arguments: Arguments) -> StringCommand:
    """The command that pyinfra sends for this fact (``pyinfra.api.facts._get_fact``)."""
    asked = fact()
    command = _made(asked, "command", arguments)
    required = _made(asked, "requires_command", arguments)
    if not required:
        return StringCommand(command)
    return StringCommand(
        *("if", "command", "-v", required, ">/dev/null", "2>&1;", "then", "(", command, ");"),
        *("else", "echo", f"'{_MISSING_COMMAND_MARKER}';", "fi"),
    )


def unix_command(command: StringCommand | str, connector_arguments: Arguments) -> str | None:
    """The text sent over SSH, or None when the command is more than its text."""
    if any(connector_arguments.get(key) for key in _NEVER):
        return None
    parts = {
        key: value
        for key, value in connector_arguments.items()
        if key in IDENTITY or key in _SUPPLIED
    }
    return make_unix_command(StringCommand(command), **parts).get_raw_value()


def _made(asked: FactBase[Any], part: str, arguments: Arguments) -> Any:
    made = asked.command if part == "command" else asked.requires_command
    return made(**arguments) if callable(made) else made
