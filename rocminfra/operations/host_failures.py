"""How an operation says that a host cannot go on, and why.

pyinfra ends *every* host's run when an operation raises. So nothing of ours raises: a failure is
recorded on the host it concerns, logged as a message, and ends that host's run only. The runner
reads the records back and turns their kind into its exit code.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import pyinfra
from pyinfra import logger
from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State

_KEY = "rocminfra.failures"
# Repeated when plain pyinfra ends, below its "No hosts remaining!".
_last_words: list[str] = []
_repeats_at_exit = True


class FailureKind(Enum):
    """Class of a failure; the value is the exit code of the ``rocminfra`` command."""

    UNEXPECTED = 1
    SETTINGS = 3
    UNREACHABLE = 4
    REFUSED = 5
    UNFIT = 6
    NOT_READY = 7
    BENCHMARK = 8
    LOCKED = 9


@dataclass(frozen=True)
class Failure:
    """Why a host's run ended.

    + kind: class of the failure
    + what: what is wrong, one sentence
    + why: the evidence, a line each; remote stderr included
    + next_command: exactly what to run next, or None
    """

    kind: FailureKind
    what: str
    why: tuple[str, ...] = ()
    next_command: str | None = None

    def lines(self) -> list[str]:
        """The message, most important line last."""
        lines = [f"    {line}" for line in self.why]
        lines.append(self.what)
        if self.next_command is not None:
            lines.append(f"next: {self.next_command}")
        return lines


def record(host: Host, failure: Failure) -> None:
    """Log ``failure`` and keep it on ``host``; said once, however often it is found."""
    known = host.connector_data.setdefault(_KEY, [])
    if failure in known:
        return
    known.append(failure)
    for line in failure.lines():
        host.log_styled(line, fg="red", log_func=logger.error)
    _repeat_at_exit(host, failure.lines()[len(failure.why) :])


def name_failed_operations(state: State) -> None:
    """Have operations whose command fails named when plain pyinfra ends, as failures are."""
    if not any(isinstance(handler, _FailedOperations) for handler in state.callback_handlers):
        state.add_callback_handler(_FailedOperations())  # type: ignore[no-untyped-call]


def keep_silent_at_exit() -> None:
    """For programs that report recorded failures themselves, such as the runner."""
    global _repeats_at_exit
    _repeats_at_exit = False


def failures(host: Host) -> tuple[Failure, ...]:
    """What has been recorded on ``host`` in this run."""
    return tuple(host.connector_data.get(_KEY, ()))


def take_out(state: State, host: Host, failure: Failure) -> None:
    """End ``host``'s run before its first operation; the other hosts go on.

    For the prepare stage. ``state.fail_hosts`` would raise "No hosts remaining!" when it is the
    last one, and that must never be the last word.
    """
    record(host, failure)
    # A task passes pyinfra's context object, which stands for no host once the task has ended; so
    # the host itself goes from one set to the other.
    own = {known for known in state.active_hosts if host == known}
    state.failed_hosts |= own
    state.active_hosts -= own


class _FailedOperations(BaseStateCallback):
    """Hears from pyinfra of every operation that failed."""

    @staticmethod
    def operation_host_error(
        state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        del retry_count, max_retries
        if failures(host) or state.ops[host][op_hash].global_arguments.get("_ignore_errors"):
            return
        name = " / ".join(sorted(state.op_meta[op_hash].names)) or "an operation"
        _repeat_at_exit(
            host,
            (
                f"'{name}' failed; what the host said stands above",
                "next: mend that, then run this again: it goes on where it ended",
            ),
        )


def _repeat_at_exit(host: Host, lines: Sequence[str]) -> None:
    if _repeats_at_exit and pyinfra.is_cli and not _last_words:
        atexit.register(_say_last_words)
    _last_words.extend(f"[{host.name}] {line}" for line in lines)


def _fail(state: State, host: Host, failure: Failure) -> bool:
    record(host, failure)
    return False


def fail(failure: Failure) -> FunctionCommand:
    """A command for an operation to yield: it changes nothing and fails this host.

    In the prepare stage it counts as a pending change, so that ``--dry`` shows it.
    """
    return FunctionCommand(_fail, (failure,), {})


def _say_last_words() -> None:
    for line in _last_words:
        print(f"--> {line}", file=sys.stderr)  # noqa: T201
