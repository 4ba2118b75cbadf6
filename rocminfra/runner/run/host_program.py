"""A program of ours that runs on a host with a request of the runner's, and answers with JSON.

Program and request go by standard input: arguments are visible to every user of the host, and sudo
logs them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from pyinfra.api import StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.host.programs import source
from rocminfra.host.sent import run_lock
from rocminfra.host_answers import answer, framed, said_besides


def connector_arguments(state: State, host: Host) -> dict[str, Any]:
    """How commands run on a host: with sudo or not, in which shell."""
    arguments, _ = pop_global_arguments(state, host, {})
    return {key: value for key, value in arguments.items() if key in CONNECTOR_ARGUMENT_KEYS}


def launched(program: str, *arguments: str) -> tuple[str, str]:
    """Shell command that runs a program from standard input, and the program's text.

    What follows the text on standard input is the program's own.

    + program: of ``rocminfra/host/sent``, such as ``run_lock``
    """
    text = source(program)
    words = ["-c", run_lock.LAUNCHER, str(len(text.encode())), *arguments]
    return shlex.join(("python3", *words)), text


def run_program(
    state: State,
    host: Host,
    program: str,
    arguments: tuple[str, ...],
    request: Mapping[str, Any],
    timeout_s: int = 30,
) -> tuple[bool, str, str]:
    """Run a program on a host: whether it succeeded, its answer, and what it said on stderr."""
    command, text = launched(program, *arguments)
    connector = connector_arguments(state, host)
    connector |= {"_stdin": text + json.dumps(request), "_timeout": timeout_s}
    succeeded, output = host.run_shell_command(StringCommand(framed(command)), **connector)
    found = answer(output.stdout_lines)
    if succeeded and found is None:
        said = "\n".join(said_besides(output.stdout_lines)[-3:])
        return False, "", f"{said}\nthe login shell did not run the command"
    return succeeded, "\n".join(found or ()), output.stderr
