"""How an operation says that a host cannot go on, and why.

pyinfra ends *every* host's run when an operation raises. So nothing of ours raises: a failure is
recorded on the host it concerns, logged as a message, and ends that host's run only. The runner
reads the records back and turns their kind into its exit code.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Mapping, Sequence

import pyinfra
from pyinfra import logger
from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State

from rocminfra.failure import Argument, Failure, lines

_KEY = "rocminfra.failures"
_NAMES = "rocminfra.argument_names"
# Repeated when plain pyinfra ends, below its "No hosts remaining!".
_last_words: list[str] = []
_repeats_at_exit = True


def record(host: Host, failure: Failure) -> None:
    """Log ``failure`` and keep it on ``host``; said once, however often it is found."""
    known = host.connector_data.setdefault(_KEY, [])
    if failure in known:
        return
    known.append(failure)
    text = lines(failure, settings=argument_names(host))
    for line in text:
        host.log_styled(line, fg="red", log_func=logger.error)
    _repeat_at_exit(host, text[len(failure.why) :])


def speak_of_settings(host: Host, names: Mapping[Argument, str]) -> None:
    """Have failures of ``host`` name a setting where it stands for an operation's argument.

    For playbooks that have settings; without it a failure says ``device=``.
    """
    host.connector_data[_NAMES] = names


def argument_names(host: Host) -> Mapping[Argument, str]:
    """What :func:`speak_of_settings` was told."""
    names: Mapping[Argument, str] = host.connector_data.get(_NAMES, {})
    return names


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


def exclude(state: State, host: Host, failure: Failure) -> None:
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
                "next: fix that, then run this again; it continues where it stopped",
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
