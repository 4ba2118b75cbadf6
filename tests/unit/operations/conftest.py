"""Run an operation's function against scripted facts: facts in, commands out, no host."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import FileUploadCommand, FunctionCommand
from pyinfra.api.command import PyinfraCommand
from pyinfra.context import ctx_host, ctx_state

from rocminfra.facts.fresh_host import FreshHost
from rocminfra.failure import Failure
from rocminfra.host_answers import BEGIN, END, is_framed
from rocminfra.operations import guidellm, guidellm_steps, packages
from rocminfra.planning.fresh_host import Observed


def _script(text: str) -> str:
    """A command without what marks its answer."""
    if not is_framed(text):
        return text
    return text.partition("; ( ")[2].rpartition("); rocminfra_status")[0].rstrip()


@dataclass(eq=False)
class ScriptedHost:
    """Stands where pyinfra's host does: answers facts from a table and remembers what it hears."""

    name: str = "scripted"
    # Through its first boot, unless a test says otherwise.
    facts: dict[type, Any] = field(default_factory=lambda: {FreshHost: Observed()})
    data: dict[str, Any] = field(default_factory=dict)
    connector: object = None
    connector_data: dict[str, Any] = field(default_factory=dict)
    current_op_hash: str | None = None
    noops: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    asked: list[tuple[type, dict[str, Any]]] = field(default_factory=list)
    current_op_global_arguments: dict[str, Any] = field(default_factory=dict)
    # Of commands that run while an operation does: what they give, and what came of that.
    answers: list[tuple[bool, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    stdin: list[str] = field(default_factory=list)

    def get_fact(self, fact: type, **arguments: Any) -> Any:
        self.asked.append((fact, arguments))
        answer = self.facts[fact]
        return answer(**arguments) if callable(answer) else answer

    def run_shell_command(self, command: Any, **arguments: Any) -> tuple[bool, Any]:
        text = str(command)
        self.ran.append(_script(text))
        self.stdin.append(arguments.get("_stdin", ""))
        succeeded, out, err = self.answers.pop(0)
        # As from a login shell that talks.
        lines = ["Welcome", BEGIN, *out, "", END] if is_framed(text) else list(out)
        return succeeded, SimpleNamespace(stdout_lines=lines, stderr_lines=list(err))

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
        """The commands as text; an upload, or a file of one transfer, as ``put PATH``; packages."""
        shown = []
        for command in self.commands:
            if isinstance(command, FileUploadCommand):
                shown.append(f"put {command.dest}")
            elif sent_files(command):
                shown += [f"put {path}" for path in sent_files(command)]
            elif not isinstance(command, FunctionCommand):
                shown.append(str(command))
            elif command.function is packages._install:
                missing, maybe = command.args
                offered = f" where offered: {' '.join(maybe)}" if maybe else ""
                shown.append(f"apt-get install {' '.join(missing)}{offered}")
            elif command.function is guidellm._install:
                shown += guidellm_steps.steps(*command.args)
        return shown

    @property
    def steps(self) -> list[str]:
        """What is done, in order: the first words of a command, or a function by its name."""
        return [
            command.function.__name__
            if isinstance(command, FunctionCommand)
            else " ".join(Outcome([command]).shell).split(" ||")[0].split(" 2>")[0]
            for command in self.commands
        ]

    @property
    def uploads(self) -> dict[str, str]:
        """Path to text of every file that is sent, but for files of this machine."""
        uploads = {}
        for command in self.commands:
            if isinstance(command, FileUploadCommand) and not isinstance(command.src, str):
                uploads[command.dest] = command.src.getvalue()
            uploads.update(sent_files(command))
        return uploads

    @property
    def failure(self) -> Failure | None:
        """The failure with which it ended, if it did."""
        for command in self.commands:
            if isinstance(command, FunctionCommand) and command.args:
                found = command.args[0]
                if isinstance(found, Failure):
                    return found
        return None


def sent_files(command: PyinfraCommand) -> dict[str, str]:
    """Path to text of the files that a command gets as an archive on its standard input."""
    if "base64 -d | tar" not in str(command):
        return {}
    packed = base64.b64decode(str(command.connector_arguments["_stdin"]))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        files = {f"/{member.name}": archive.extractfile(member) for member in archive}
        return {path: file.read().decode() for path, file in files.items() if file is not None}


@pytest.fixture
def scripted() -> Iterator[ScriptedHost]:
    host = ScriptedHost()
    state = SimpleNamespace(
        config=SimpleNamespace(DIFF=False),
        failed_hosts=set(),
        active_hosts=set(),
        is_executing=False,
    )
    with ctx_state.use(state), ctx_host.use(host):
        yield host


@pytest.fixture
def run(scripted: ScriptedHost) -> Callable[..., Outcome]:
    def run_operation(operation: Any, **arguments: Any) -> Outcome:
        return Outcome(list(operation._inner(**arguments)))

    return run_operation
