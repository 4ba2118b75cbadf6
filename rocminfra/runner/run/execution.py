"""Preparing and running operations so that one host's trouble stays its own.

pyinfra ends the whole run when a deploy file or an operation raises for one host. Here the
exception becomes that host's failure, and the others go on; operations are still run one by one,
each on all hosts before the next begins.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial

import gevent
from paramiko import SSHException
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.operations import run_host_op
from pyinfra.api.state import State, StateStage
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.context import ctx_config, ctx_host, ctx_state
from pyinfra_cli.exceptions import UnexpectedExternalError
from pyinfra_cli.util import exec_file

from rocminfra.failure import FailedError, Failure, Fault
from rocminfra.operations.host_failures import record
from rocminfra.operations.host_settings import InvalidSettings
from rocminfra.runner.run.activity import Activities
from rocminfra.runner.run.connection_check import trouble
from rocminfra.runner.run.connection_trouble import unreachable
from rocminfra.settings.problems import refusal

KEEPALIVE_S = 15
DEAD_AFTER_S = 90

# What paramiko raises, besides its own errors, when a connection is gone.
CONNECTION_LOST = (SSHException, EOFError, ConnectionError, TimeoutError)


def connect(state: State, hosts: Sequence[Host], activities: Activities) -> dict[str, Failure]:
    """Connect to hosts at once; returns why some could not be, by name.

    + activities: told of every host that is being connected to
    """
    state.set_stage(StateStage.Connect)
    refused: dict[str, Failure] = {}

    def run(host: Host) -> bool:
        with activities.begin("Connect", host.name):
            return reached(host)

    def reached(host: Host) -> bool:
        try:
            host.connect(raise_exceptions=True)
        except Exception as error:  # reading somebody's ssh configuration may raise anything
            refused[host.name] = unreachable(host, error)
            return False
        _notice_a_dead_connection(host)
        failure = trouble(state, host)
        if failure is not None:
            refused[host.name] = failure
            return False
        state.activate_host(host)
        return True

    with _asking_on_the_terminal():
        on_each(state, hosts, run)
    return refused


def prepare(state: State, files: Sequence[str], activities: Activities) -> None:
    """Run playbook files for every active host, which collects the operations.

    + files: paths; pyinfra orders operations by file and line
    + activities: told of every host that is being looked at
    """
    state.set_stage(StateStage.Prepare)
    for number, filename in enumerate(files):
        state.config.lock_current_state()
        state.current_op_file_number = number
        state.current_deploy_filename = filename
        on_each(state, _active(state), partial(_prepare_host, state, filename, activities))
        state.config.reset_locked_state()


def execute(state: State) -> None:
    """Run the collected operations on the hosts that are still active."""
    state.set_stage(StateStage.Execute)
    state.is_executing = True
    with ctx_state.use(state):
        for op_hash in state.get_op_order():  # type: ignore[no-untyped-call]
            hosts = _active(state)
            if not hosts:
                return
            _run_operation(state, op_hash, hosts)


def on_each(state: State, hosts: Sequence[Host], run: Callable[[Host], bool]) -> None:
    """Run something on hosts at once; a host for which it fails or raises is out of the run."""

    def guarded(host: Host) -> bool:
        try:
            return run(host)
        except Exception as error:  # the boundary between hosts: becomes a failure of this one
            failure = _failure(error)
            if failure is not None:
                record(host, failure)
            return False

    greenlets = {host: state.pool.spawn(guarded, host) for host in hosts}
    try:
        gevent.joinall(list(greenlets.values()), raise_error=True)
    finally:
        gevent.killall([greenlet for greenlet in greenlets.values() if not greenlet.dead])
    for host, greenlet in greenlets.items():
        if not greenlet.value:
            state.failed_hosts.add(host)
            state.active_hosts.discard(host)


@contextmanager
def _asking_on_the_terminal() -> Iterator[None]:
    """Keep questions of paramiko's (a second factor) off the data, and ask nobody but a person.

    It asks by ``input()``, which writes to standard output and waits for a pipe as for a person.
    """
    before = sys.stdin
    is_person = before is not None and before.isatty()
    with redirect_stdout(sys.stderr), open(os.devnull, encoding="utf-8") as nobody:
        sys.stdin = before if is_person else nobody
        try:
            yield
        finally:
            sys.stdin = before


def _notice_a_dead_connection(host: Host) -> None:
    """Let a host that vanishes fail its run; by default a read from it waits for ever.

    The keepalive makes traffic, and the kernel ends the connection when none of it is
    acknowledged (tcp(7), TCP_USER_TIMEOUT).
    """
    connector = host.connector
    if not isinstance(connector, SSHConnector) or connector.client is None:
        return
    transport = connector.client.get_transport()
    if transport is None:
        return
    transport.set_keepalive(KEEPALIVE_S)
    if isinstance(transport.sock, socket.socket):  # through a jump host it is another channel
        milliseconds = DEAD_AFTER_S * 1000
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _active(state: State) -> list[Host]:
    return [host for host in state.inventory if host in state.active_hosts]


def _prepare_host(state: State, filename: str, activities: Activities, host: Host) -> bool:
    with (
        activities.begin("Look at the host", host.name),
        ctx_config.use(state.config.copy()),
        ctx_host.use(host),
    ):
        exec_file(filename)
    return True


def _run_operation(state: State, op_hash: str, hosts: list[Host]) -> None:
    state.trigger_callbacks("operation_start", op_hash)
    meta = state.get_op_meta(op_hash)
    # Otherwise a host seems to be at work on what it has not been given.
    hosts = [host for host in hosts if op_hash in state.ops[host]]
    size = 1 if meta.global_arguments["_serial"] else meta.global_arguments["_parallel"]
    size = size or len(hosts)

    def run(host: Host) -> bool:
        with ctx_host.use(host):
            return run_host_op(state, host, op_hash)

    for start in range(0, len(hosts), size):
        on_each(state, hosts[start : start + size], run)
    state.trigger_callbacks("operation_end", op_hash)


def _failure(error: Exception) -> Failure | None:
    """The failure that an exception stands for; None when pyinfra's log says it better."""
    if isinstance(error, FailedError):
        return error.failure
    if isinstance(error, InvalidSettings):
        return refusal([str(problem) for problem in error.problems])
    if isinstance(error, UnexpectedExternalError):
        inner: UnexpectedExternalError = error
        while isinstance(inner.exception, UnexpectedExternalError):  # a file included by another
            inner = inner.exception
        what = f"{inner.filename}: {_described(inner.exception)}"
        return Failure(Fault.DEPLOY_RAISED, what)
    if isinstance(error, CONNECTION_LOST):
        return Failure(Fault.CONNECTION_LOST, f"the connection was lost: {_described(error)}")
    if isinstance(error, PyinfraError):
        if "No hosts remaining" in str(error):
            return None
        return Failure(Fault.UNEXPECTED, _described(error))
    return Failure(Fault.UNEXPECTED, _described(error), _origin(error))


def _described(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _origin(error: BaseException) -> tuple[str, ...]:
    """The line of code that raised, innermost last."""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    return tuple(lines[-3:])
