"""pyinfra's host as a benchmark session takes it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paramiko import SSHException
from pyinfra.api import StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.bench.remote import Answer, CommandFailedError, Readable
from rocminfra.host_answers import answer, framed
from rocminfra.operations import transfers

_TIMEOUT_S = 60
_PACK_TIMEOUT_S = 600


class HostRemote:
    """A host whose commands run as its operation is told to, or as its data says.

    + arguments: of the connector, such as sudo; without them those of the operation at work
    """

    def __init__(self, state: State, host: Host, arguments: dict[str, Any] | None = None) -> None:
        self._state = state
        self._host = host
        self._arguments = transfers.arguments_of(host) if arguments is None else arguments

    def run(self, command: str, stdin: str | None, timeout_s: int) -> Answer:
        """Run a shell command; raises OSError when the connection is gone."""
        arguments = {**self._arguments, "_timeout": timeout_s}
        if stdin is not None:
            arguments["_stdin"] = stdin
        try:
            succeeded, output = self._host.run_shell_command(
                StringCommand(framed(command)), **arguments
            )
        except SSHException as error:
            raise OSError(str(error)) from error
        stdout = answer(output.stdout_lines)
        return Answer(succeeded, "\n".join(stdout or ()), output.stderr)

    @contextmanager
    def stream(self, command: str, stdin: str, size: int) -> Iterator[Readable]:
        """What a command prints, as it comes; over a connector without streams, by a file."""
        if transfers.is_ssh(self._host):
            with transfers.stream(
                self._state, self._host, command, stdin.encode(), self._arguments, size
            ) as reader:
                yield reader
            return
        made = self.run("mktemp", None, _TIMEOUT_S)
        path = made.stdout.strip()
        if not made.succeeded or not path:
            raise OSError(made.stderr or "no temporary file could be made")
        try:
            done = self.run(f"{command} >{shlex.quote(path)}", stdin, _PACK_TIMEOUT_S)
            if not done.succeeded:
                raise CommandFailedError(done.stderr or "the command failed")
            with tempfile.NamedTemporaryFile() as here:
                transfers.fetch(self._state, self._host, path, Path(here.name), self._arguments)
                with open(here.name, "rb") as reader:
                    yield reader
        finally:
            self.run(f"rm -f {shlex.quote(path)}", None, _TIMEOUT_S)


def remote_of(state: State, host: Host) -> HostRemote:
    """A host outside any operation, with the arguments that its data gives (``_sudo``)."""
    given, _ = pop_global_arguments(state, host, {})
    values: Any = given
    return HostRemote(
        state, host, {key: values[key] for key in CONNECTOR_ARGUMENT_KEYS if key in values}
    )
