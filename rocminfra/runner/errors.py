"""What ends a command before or beside its hosts: wrong options, no hosts, invalid settings."""

from __future__ import annotations

from rocminfra.runner.exit_codes import ExitCode


class CommandError(Exception):
    """A message with an exit code.

    + code: exit code of the command
    + what: what is wrong, one sentence
    + why: the evidence, a line each
    + next_command: exactly what to run next, or None
    """

    def __init__(
        self,
        code: ExitCode,
        what: str,
        why: tuple[str, ...] = (),
        next_command: str | None = None,
    ) -> None:
        self.code = code
        self.what = what
        self.why = why
        self.next_command = next_command
        super().__init__(code, what, why, next_command)

    def __str__(self) -> str:
        return self.what
