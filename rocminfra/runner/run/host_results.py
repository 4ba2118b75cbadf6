"""What pyinfra's state holds after a run, as results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pyinfra.api.host import Host
from pyinfra.api.state import State, StateOperationMeta
from pyinfra.connectors.ssh import SSHConnector

from rocminfra.failure import Again, Do, ExitCode, Failure, Fault, next_words
from rocminfra.operations.bench import results_folder, verified_results
from rocminfra.operations.foreseen import foreseen
from rocminfra.operations.host_failures import failures
from rocminfra.operations.serving import served
from rocminfra.planning.foreseen import Foreseen
from rocminfra.runner.run.host_log import HostLog
from rocminfra.runner.run.redaction import Redaction
from rocminfra.runner.run.results import (
    HostResult,
    HostState,
    OperationResult,
    Outcome,
)
from rocminfra.settings import SettingsError, load_settings
from rocminfra.settings.argument_names import SETTING_OF

# An operation without a name is called by its arguments, and those may be whole files.
NAME_LIMIT = 100


def host_results(
    state: State,
    hosts: Sequence[Host],
    *,
    log: HostLog,
    refused: Mapping[str, Failure],
    seconds: Mapping[tuple[str, str], float],
    redact: Redaction,
    again: Callable[[str, Again], str],
) -> tuple[HostResult, ...]:
    """One result a host.

    + hosts: the hosts of this run, also those that never connected
    + log: pyinfra's errors by host
    + refused: why hosts did not connect, by name
    + seconds: how long operations took, by host name and operation
    + redact: takes secrets out of texts
    + again: the command line that repeats the run for one host
    """
    collector = _Collector(state, log, seconds, redact, again)
    return tuple(
        collector.unreachable(host, refused[host.name])
        if host.name in refused
        else collector.host(host)
        for host in hosts
    )


def operation_name(meta: StateOperationMeta) -> str:
    """Name of an operation as a person reads it; secrets in arguments are masked by pyinfra.

    pyinfra keeps one name for all hosts; where a task names it after its host, these are several.
    """
    name = " / ".join(sorted(meta.names)) or "operation"
    if meta.args:
        name = f"{name} ({', '.join(str(argument) for argument in meta.args)})"
    name = " ".join(name.split())
    return name if len(name) <= NAME_LIMIT else f"{name[: NAME_LIMIT - 1]}…"


class _Collector:
    def __init__(
        self,
        state: State,
        log: HostLog,
        seconds: Mapping[tuple[str, str], float],
        redact: Redaction,
        again: Callable[[str, Again], str],
    ) -> None:
        self.state = state
        self.log = log
        self.seconds = seconds
        self.redact = redact
        self._again = again
        self.order: list[str] = state.get_op_order()  # type: ignore[no-untyped-call]

    def again(self, host: Host, step: Again) -> str:
        """The command line that repeats the run for one host, without secrets."""
        return self.redact.text(self._again(host.name, step))

    def unreachable(self, host: Host, failure: Failure) -> HostResult:
        own = self._recorded(host, failure)
        return HostResult(host.name, HostState.UNREACHABLE, (), (own,))

    def host(self, host: Host) -> HostResult:
        failed = host in self.state.failed_hosts
        operations = []
        own = [self._recorded(host, failure) for failure in failures(host)]
        for op_hash in self.order:
            if op_hash not in self.state.ops[host]:
                continue
            operation = self._operation(host, op_hash, failed)
            operations.append(operation)
            if operation.outcome is Outcome.FAILED and not own:
                own.append(self._operation_failure(host, operation))
        if failed and not own:
            own.append(self._unexplained(host))
        if failed and _is_disconnected(host):
            own = list(through_lost_connection(host.name, own, self.again(host, Again())))
        folder = results_folder(host)
        return HostResult(
            host.name,
            self._state(failed),
            tuple(operations),
            tuple(own),
            None if folder is None else str(folder),
            foreseen=() if self.state.is_executing else self._foreseen(host, None),
            usd_per_hour=_usd_per_hour(host),
            served=served(host) if self.state.is_executing and not failed else None,
            verified=verified_results(host),
        )

    def _state(self, failed: bool) -> HostState:
        if failed:
            return HostState.FAILED
        return HostState.DONE if self.state.is_executing else HostState.PLANNED

    def _operation(self, host: Host, op_hash: str, host_failed: bool) -> OperationResult:
        name = self.redact.text(operation_name(self.state.get_op_meta(op_hash)))
        data = self.state.get_op_data_for_host(host, op_hash)
        meta = data.operation_meta
        if meta.is_complete():
            seconds = self.seconds.get((host.name, op_hash))
            if meta.did_succeed() or data.global_arguments["_ignore_errors"]:
                outcome = Outcome.CHANGED if meta.did_change() else Outcome.UNCHANGED
                return OperationResult(name, outcome, seconds)
            stderr = self.redact.lines(meta.stderr_lines or meta.stdout_lines)
            return OperationResult(name, Outcome.FAILED, seconds, stderr)
        if self.state.is_executing or host_failed:
            return OperationResult(name, Outcome.NOT_RUN)
        if not meta._maybe_is_change:
            return OperationResult(name, Outcome.UNCHANGED)
        conditional = bool(data.global_arguments["_if"])
        outcome = Outcome.CONDITIONAL if conditional else Outcome.PENDING
        return OperationResult(name, outcome, foreseen=self._foreseen(host, op_hash))

    def _foreseen(self, host: Host, op_hash: str | None) -> tuple[Foreseen, ...]:
        """What is foreseen, without secrets."""
        found = foreseen(host).get(op_hash, ())
        return tuple(
            replace(one, words=self.redact.text(one.words), diff=self.redact.lines(one.diff))
            for one in found
        )

    def _recorded(self, host: Host, failure: Failure) -> Failure:
        """A failure with its next step as a whole command: operations cannot know it, we do."""
        following = None
        if failure.next is not None:
            words = next_words(failure.next, lambda step, _: self.again(host, step), SETTING_OF)
            following = Do(self.redact.text(words))
        return Failure(
            failure.fault, self.redact.text(failure.what), self.redact.lines(failure.why), following
        )

    def _operation_failure(self, host: Host, operation: OperationResult) -> Failure:
        said = operation.stderr or self.redact.lines(self.log.errors(host.name))
        if _is_disconnected(host):
            what = f"{host.name}: the connection was lost during operation '{operation.name}'"
            return Failure(Fault.CONNECTION_LOST, what, said, Do(self.again(host, Again())))
        what = f"{host.name}: operation '{operation.name}' failed"
        return Failure(
            Fault.OPERATION_FAILED, what, said, Do(self.again(host, Again(verbose=True)))
        )

    def _unexplained(self, host: Host) -> Failure:
        return Failure(
            Fault.RUN_ENDED_EARLY,
            f"{host.name}: the run ended early",
            self.redact.lines(self.log.errors(host.name)) or ("pyinfra gave no reason",),
            Do(self.again(host, Again(verbose=True))),
        )


# What a lost connection looks like to an operation: its command has no answer.
_SYMPTOMS = (ExitCode.UNEXPECTED, ExitCode.NOT_READY, ExitCode.BENCHMARK)


def through_lost_connection(name: str, found: Sequence[Failure], again: str) -> tuple[Failure, ...]:
    """Failures of a host whose connection is gone: what came of that is no reason of its own.

    + name: the host
    + again: the command line that repeats the run, for what has no better next step

    What was decided before, such as a disk that is refused, stays.
    """
    if any(failure.kind is ExitCode.UNREACHABLE for failure in found):
        return tuple(found)
    symptoms = [failure for failure in found if failure.kind in _SYMPTOMS]
    if not symptoms:
        return tuple(found)
    why = [line for failure in symptoms for line in (*failure.why, failure.what)]
    following = next((one.next for one in symptoms if one.next is not None), Do(again))
    lost = Failure(Fault.CONNECTION_LOST, f"{name}: the connection was lost", tuple(why), following)
    return (*(failure for failure in found if failure not in symptoms), lost)


def _usd_per_hour(host: Host) -> float | None:
    try:
        settings = load_settings(host.data.dict())  # type: ignore[no-untyped-call]
    except SettingsError:  # said where the settings are checked
        return None
    return settings.cost.usd_per_hour


def _is_disconnected(host: Host) -> bool:
    """Whether the SSH connection is gone; a command that was cut off just has no exit code."""
    connector = host.connector
    if not isinstance(connector, SSHConnector) or connector.client is None:
        return False
    transport = connector.client.get_transport()
    return transport is None or not transport.is_active()
