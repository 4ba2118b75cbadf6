"""Commands whose answer an operation needs before it knows how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gevent
from pyinfra import logger
from pyinfra.api import StringCommand
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS
from pyinfra.api.host import Host

from rocminfra.host_answers import answer, framed
from rocminfra.operations.progress import is_heard, tell

BEAT_S = 10


@dataclass(frozen=True)
class Answer:
    """What a command gave.

    + succeeded: whether its exit code was 0
    + out, err: its lines
    """

    succeeded: bool
    out: tuple[str, ...]
    err: tuple[str, ...]


def run_now(
    host: Host, command: StringCommand | str, doing: str, stdin: str | None = None
) -> Answer:
    """Run a command while the operation that was yielded for it runs, as that operation would.

    + doing: what is waited for, said every ten seconds, such as "Docker restarts"
    + stdin: what the command reads
    """
    with _beat(host, doing):
        return ask(host, command, stdin)


def ask(host: Host, command: StringCommand | str, stdin: str | None = None) -> Answer:
    """As :func:`run_now`, for a command that takes a moment only."""
    given: Any = host.current_op_global_arguments or {}
    arguments = {key: given[key] for key in CONNECTOR_ARGUMENT_KEYS if key in given}
    if stdin is not None:
        arguments["_stdin"] = stdin
    script = command if isinstance(command, str) else command.get_raw_value()
    succeeded, output = host.run_shell_command(StringCommand(framed(script)), **arguments)
    printed = answer(output.stdout_lines)
    # Without an answer nothing has run, whatever the login shell made of it.
    ran = succeeded and printed is not None
    return Answer(ran, tuple(printed or ()), tuple(output.stderr_lines))


@contextmanager
def _beat(host: Host, doing: str) -> Iterator[None]:
    if is_heard(host):
        tell(host, note=doing)
        yield
        return

    def beat() -> None:
        seconds = 0
        while True:
            gevent.sleep(BEAT_S)
            seconds += BEAT_S
            host.log(f"{doing}: {seconds} s", logger.info)

    speaking = gevent.spawn(beat)
    try:
        yield
    finally:
        speaking.kill()
