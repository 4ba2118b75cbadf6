"""Run an operation's function against scripted facts: facts in, commands out, no host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import FileUploadCommand, FunctionCommand
from pyinfra.api.command import PyinfraCommand
from pyinfra.context import ctx_host, ctx_state

from rocminfra.operations.failure import Failure


@dataclass(eq=False)
class ScriptedHost:
    """Stands where pyinfra's host does: answers facts from a table and remembers what it hears."""

    name: str = "scripted"
    facts: dict[type, Any] = field(default_factory=dict)
    connector_data: dict[str, Any] = field(default_factory=dict)
    noops: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    asked: list[tuple[type, dict[str, Any]]] = field(default_factory=list)

    def get_fact(self, fact: type, **arguments: Any) -> Any:
        self.asked.append((fact, arguments))
        answer = self.facts[fact]
        return answer(**arguments) if callable(answer) else answer

    def get_temp_filename(self, *_: Any, **__: Any) -> str:
        return "/tmp/pyinfra-upload"

    def noop(self, text: str) -> None:
        self.noops.append(text)

    def log(self, text: str, *_: Any, **__: Any) -> None:
        self.logged.append(text)

    log_styled = log


@dataclass
class Outcome:
    """What an operation yielded."""

    commands: list[PyinfraCommand]

    @property
    def shell(self) -> list[str]:
        """The commands as text; an upload as ``put PATH``."""
        return [
            f"put {command.dest}" if isinstance(command, FileUploadCommand) else str(command)
            for command in self.commands
            if not isinstance(command, FunctionCommand)
        ]

    @property
    def uploads(self) -> dict[str, str]:
        """Path to text of every uploaded file-like object."""
        return {
            command.dest: command.src.getvalue()
            for command in self.commands
            if isinstance(command, FileUploadCommand) and not isinstance(command.src, str)
        }

    @property
    def failure(self) -> Failure | None:
        """The failure with which it ended, if it did."""
        for command in self.commands:
            if isinstance(command, FunctionCommand) and command.args:
                found = command.args[0]
                if isinstance(found, Failure):
                    return found
        return None


@pytest.fixture
def scripted() -> Iterator[ScriptedHost]:
    host = ScriptedHost()
    state = SimpleNamespace(
        config=SimpleNamespace(DIFF=False), failed_hosts=set(), active_hosts=set()
    )
    with ctx_state.use(state), ctx_host.use(host):
        yield host


@pytest.fixture
def run(scripted: ScriptedHost) -> Callable[..., Outcome]:
    def run_operation(operation: Any, **arguments: Any) -> Outcome:
        return Outcome(list(operation._inner(**arguments)))

    return run_operation
