"""pyinfra's host as a benchmark session takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paramiko import SSHException
from pyinfra.api import StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.bench.remote import Answer
from rocminfra.host_answers import answer, framed
from rocminfra.operations import transfers


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

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file of the host here; raises OSError when it does not arrive whole."""
        transfers.fetch(self._state, self._host, path, target, self._arguments)


def remote_of(state: State, host: Host) -> HostRemote:
    """A host outside any operation, with the arguments that its data gives (``_sudo``)."""
    given, _ = pop_global_arguments(state, host, {})
    values: Any = given
    return HostRemote(
        state, host, {key: values[key] for key in CONNECTOR_ARGUMENT_KEYS if key in values}
    )
