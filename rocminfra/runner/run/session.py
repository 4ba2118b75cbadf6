"""One run of the playbook, in process: load, connect, prepare, execute, collect."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pyinfra
from pyinfra.api import Config, State
from pyinfra.api.connect import disconnect_all
from pyinfra.api.host import Host
from pyinfra.api.output import set_echo
from pyinfra.api.state import BaseStateCallback, StateStage
from pyinfra.context import ctx_config, ctx_inventory, ctx_state
from pyinfra_cli.util import exec_file

from rocminfra.failure import Again, Failure
from rocminfra.operations import foreseen
from rocminfra.operations.bench import run_under_way
from rocminfra.operations.host_failures import failures, keep_silent_at_exit
from rocminfra.operations.progress import listen
from rocminfra.runner.run.activity import Activities, Activity
from rocminfra.runner.run.execution import connect, execute, prepare
from rocminfra.runner.run.host_lock import needs_lock, new_lock
from rocminfra.runner.run.host_log import HostLog
from rocminfra.runner.run.host_record import HostRecords
from rocminfra.runner.run.host_results import host_results, operation_name
from rocminfra.runner.run.redaction import Redaction, environment_secrets
from rocminfra.runner.run.results import HostResult, Outcome
from rocminfra.runner.run.targets import (
    begin,
    check_settings,
    limit_hosts,
    load_inventory,
    with_load_generators,
)
from rocminfra.settings import load_settings
from rocminfra.settings.hub_token import hub_token
from rocminfra.settings.secret_names import SECRET_KEYS, is_masked_variable


@dataclass(frozen=True)
class Request:
    """What to run, and where.

    + command: what is run, without data, for others who find the host locked
    + again: the command line that repeats this run for one host, for failures to name; with what
      their next step adds to it
    + inventory: file, or names with commas
    + folder: where the playbook's files include each other from
    + limit: host names, groups or patterns; empty for all
    + data: what this run overrides
    + detect_changes: ask every operation whether it would change something while preparing
    + with_load_generators: the hosts that send the load of these take part
    + verbosity: 0, 1 (what pyinfra says) or 2 (its debug log)
    """

    command: str
    again: Callable[[str, Again], str]
    inventory: str
    folder: Path
    limit: tuple[str, ...]
    data: dict[str, Any]
    detect_changes: bool
    verbosity: int = 0
    with_load_generators: bool = False


@dataclass(frozen=True)
class Progress:
    """Where a run's progress goes.

    + line: a line of what pyinfra or a task says
    + operation: an operation begins, by name
    + host: what became of it on one host: the host's name, success, change, seconds
    + activities: what runs at the moment
    """

    line: Callable[[str], None]
    operation: Callable[[str], None]
    host: Callable[[str, bool, bool, float], None]
    activities: Activities = field(default_factory=Activities)


class Session:
    """Hosts that are connected; close it, or use it in a ``with``."""

    def __init__(self, request: Request, progress: Progress) -> None:
        """Load inventory and settings; nothing is connected yet.

        Raises :class:`rocminfra.failure.FailedError` when there is nothing to run.
        """
        # Deploy files may include each other only when pyinfra believes to be in its own command.
        pyinfra.is_cli = True
        keep_silent_at_exit()
        sys.dont_write_bytecode = True
        os.environ.setdefault("PYINFRA_PROGRESS", "off")
        self.request = request
        self._progress = progress
        # Until the settings say which variables hold tokens, the usual ones are masked.
        self.redact = Redaction(environment_secrets(os.environ, ()))
        self._log = HostLog(self._show, request.verbosity)
        self._log.attach()
        self._refused: dict[str, Failure] = {}
        self._told: set[tuple[str, str]] = set()
        self.state = State(check_for_changes=request.detect_changes)
        self.state.cwd = str(request.folder)
        self.state.print_noop_info = request.verbosity > 0
        if request.verbosity > 1:
            set_echo(self._echo)
            self.state.print_input = self.state.print_fact_input = True
            self.state.print_output = self.state.print_fact_output = True
        ctx_state.set(self.state)  # type: ignore[no-untyped-call]
        config = Config()  # type: ignore[no-untyped-call]
        ctx_config.set(config)  # type: ignore[no-untyped-call]
        config_file = request.folder / "config.py"
        if config_file.exists():
            exec_file(str(config_file))
        config.lock_current_state()
        inventory = load_inventory(request.inventory, request.data)
        self._log.align(host.name for host in inventory)
        ctx_inventory.set(inventory)  # type: ignore[no-untyped-call]
        self.hosts = limit_hosts(inventory, request.limit, request.inventory)
        if request.with_load_generators:
            self.hosts = with_load_generators(self.hosts, inventory)
        check_settings(self.hosts, request.data)
        self.redact = Redaction(self._secrets())
        begin(self.state, inventory, config, self.hosts)
        self._times = _Callbacks(progress, self._tell)
        self.state.add_callback_handler(self._times)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def activities(self) -> Activities:
        """What runs at the moment, for whoever shows it."""
        return self._progress.activities

    @property
    def active(self) -> list[Host]:
        """Hosts that are connected and have not failed."""
        return [host for host in self.hosts if host in self.state.active_hosts]

    def connect(self) -> None:
        """Connect to all hosts; those that refuse are part of the results."""
        self._refused = connect(self.state, self.hosts, self._progress.activities)
        self._tell_who_is_out()

    def connect_again(self, host: Host) -> Failure | None:
        """Connect to a host whose connection was lost; why not, when it cannot be."""
        host.disconnect()
        return connect(self.state, [host], self._progress.activities).get(host.name)

    def prepare(self, files: Sequence[Path]) -> None:
        """Collect the operations of playbook files; with detect_changes also what they'd do."""
        if self.request.detect_changes:
            for host in self.active:
                foreseen.listen(host)
        prepare(self.state, [str(file) for file in files], self._progress.activities)
        self._tell_who_is_out()

    def execute(self) -> None:
        """Run the operations that :meth:`prepare` collected, with the hosts locked."""
        for host in self.active:
            foreseen.forget(host)
        locked = [host for host in self.active if needs_lock(host)]
        lock = new_lock(self.request.command)
        lock.take(self.state, locked)
        self._tell_who_is_out()
        held = [host for host in locked if host in self.state.active_hosts]
        began, is_whole = time.monotonic(), False
        record = HostRecords(self.state, lock.unrecorded)
        try:
            record.begin(held)
            execute(self.state)
            is_whole = True
        finally:
            record.update(held)
            lock.free(self.state, held, self._ended(time.monotonic() - began, is_whole))

    def benchmark(self) -> str | None:
        """Id of a benchmark run that has begun and goes on on the hosts without us."""
        return next(filter(None, map(run_under_way, self.hosts)), None)

    def results(self) -> tuple[HostResult, ...]:
        """What became of every host so far."""
        return host_results(
            self.state,
            self.hosts,
            log=self._log,
            refused=self._refused,
            seconds=self._times.seconds,
            redact=self.redact,
            again=self.request.again,
        )

    def close(self) -> None:
        """Disconnect."""
        if self.state.initialised:
            self.state.set_stage(StateStage.Disconnect)
            disconnect_all(self.state)
        ctx_state.reset()
        ctx_inventory.reset()
        ctx_config.reset()

    def _tell_who_is_out(self) -> None:
        """Say at once which hosts the run goes on without; the whole story comes at its end."""
        if self.active:
            for host in self.hosts:
                self._tell(host)

    def _tell(self, host: Host) -> None:
        known = failures(host) or filter(None, [self._refused.get(host.name)])
        for failure in known:
            if (host.name, failure.what) not in self._told:
                self._told.add((host.name, failure.what))
                self._show(f"[{host.name}] is out of this run: {failure.what}")

    def _ended(self, seconds: float, is_whole: bool) -> Callable[[Host], dict[str, Any]]:
        """What each host's book of runs is to say of the end of this one; no secrets."""
        results = {result.name: result for result in self.results()}

        def ended(host: Host) -> dict[str, Any]:
            result = results[host.name]
            outcome = "failed" if result.failed else "done" if is_whole else "interrupted"
            changed = [one.name for one in result.operations if one.outcome is Outcome.CHANGED]
            return {
                "outcome": outcome,
                "seconds": round(seconds, 1),
                "changed": changed,
                "failures": [failure.what for failure in result.failures],
            }

        return ended

    def _echo(self, message: object = "", **_style: object) -> None:
        self._show(str(message))

    def _show(self, line: str) -> None:
        self._progress.line(self.redact.text(line))

    def _secrets(self) -> list[str]:
        """What must not be shown; the tokens are read for masking and kept nowhere else."""
        found = []
        variables = set()
        for host in self.hosts:
            data = host.data.dict()  # type: ignore[no-untyped-call]
            settings = load_settings(data)
            found += [value for key in SECRET_KEYS if isinstance(value := data.get(key), str)]
            engine = settings.engine.environment.items()
            found += [value for name, value in engine if is_masked_variable(name)]
            variables.add(settings.huggingface.token_env)
            try:
                found.append(hub_token(settings.huggingface) or "")
            except OSError:
                # A file that cannot be read has nothing to leak; the task that needs it says so.
                continue
        return [*environment_secrets(os.environ, variables), *found]


class _Callbacks(BaseStateCallback):
    """pyinfra's callbacks: how long things took, and what to show."""

    def __init__(self, progress: Progress, tell: Callable[[Host], None]) -> None:
        self.progress = progress
        self.tell = tell
        self.seconds: dict[tuple[str, str], float] = {}
        self.started: dict[tuple[str, str], float] = {}
        self._activities: dict[tuple[str, str], Activity] = {}

    def operation_start(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        self.progress.operation(operation_name(state.get_op_meta(op_hash)))

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:  # type: ignore[override]
        self.started[host.name, op_hash] = time.monotonic()
        name = operation_name(state.get_op_meta(op_hash))
        activity = self.progress.activities.begin(name, host.name)
        self._activities[host.name, op_hash] = activity
        listen(host, activity)

    def operation_host_success(  # type: ignore[override]
        self, state: State, host: Host, op_hash: str, retry_count: int = 0
    ) -> None:
        self._ended(host, op_hash)

    def operation_host_error(  # type: ignore[override]
        self,
        state: State,
        host: Host,
        op_hash: str,
        retry_count: int = 0,
        max_retries: int = 0,
    ) -> None:
        self._ended(host, op_hash)
        if len(state.active_hosts) > 1:  # the others may take long
            self.tell(host)

    def operation_end(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        for host in state.inventory:
            self._stop(host, op_hash)
            if (host.name, op_hash) not in self.seconds:
                continue
            meta = state.get_op_data_for_host(host, op_hash).operation_meta
            if meta.is_complete():
                seconds = self.seconds[host.name, op_hash]
                self.progress.host(host.name, meta.did_succeed(), meta.did_change(), seconds)

    def _ended(self, host: Host, op_hash: str) -> None:
        started = self.started.pop((host.name, op_hash), time.monotonic())
        self.seconds[host.name, op_hash] = time.monotonic() - started
        self._stop(host, op_hash)

    def _stop(self, host: Host, op_hash: str) -> None:
        activity = self._activities.pop((host.name, op_hash), None)
        if activity is not None:
            activity.end()
            listen(host, None)
