"""What ends a lab command: a message, and the exit code that tells the class of it."""

from __future__ import annotations

# The contract's exit codes that a lab command can end with.
UNEXPECTED = 1
SETTINGS = 3
UNFIT = 6
NOT_READY = 7
LOCKED = 9


class LabError(Exception):
    """A lab command cannot go on.

    + what: what is wrong, one sentence
    + why: the evidence, a line each; a tool's stderr included
    + next_command: exactly what to run next, or None
    + code: exit code of the command
    """

    def __init__(
        self,
        what: str,
        why: tuple[str, ...] = (),
        next_command: str | None = None,
        code: int = UNFIT,
    ) -> None:
        self.what = what
        self.why = why
        self.next_command = next_command
        self.code = code
        super().__init__(what)

    def __str__(self) -> str:
        """The message, most important line last."""
        lines = [f"    {line}" for line in self.why]
        lines.append(self.what)
        if self.next_command is not None:
            lines.append(f"next: {self.next_command}")
        return "\n".join(lines)
