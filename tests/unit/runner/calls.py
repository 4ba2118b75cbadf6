"""What the worker can be asked to do; see worker.py."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

from pyinfra.api.inventory import Inventory
from pyinfra.connectors.local import LocalConnector
from pyinfra_cli.util import PYTHON_CODES, parse_cli_arg

from rocminfra.failure import Failure, Fault
from rocminfra.operations.host_failures import failures
from rocminfra.runner.hosts import book, logs, removing
from rocminfra.runner.hosts.asking import Answered
from rocminfra.runner.run import (
    bench_runs,
    connection_check,
    connection_trouble,
    host_lock,
    host_record,
    session,
    status,
    unusable_login,
)
from rocminfra.runner.run.host_lock import new_lock
from rocminfra.runner.run.options import Options
from rocminfra.runner.run.playbook import run
from rocminfra.runner.run.results import RunResult
from rocminfra.runner.run.session import Progress
from rocminfra.runner.run.status_results import HostStatus, Part
from rocminfra.runner.run.targets import (
    check_settings,
    inventory_argument,
    limit_hosts,
    load_inventory,
    parse_data,
)

Hosts = Mapping[str, Mapping[str, Any]]


# A run's result, what pyinfra and the tasks said, operations and hosts as they went, and the plans
# that were shown first. A class of this module would be imported where it is unpickled.
Ran = tuple[RunResult, list[str], list[str], list[RunResult]]


def run_playbook(
    folder: str,
    environ: Mapping[str, str],
    verb: str,
    options: Mapping[str, Any],
    hosts: Hosts | None,
    answer: bool | None,
) -> Ran:
    """A verb in a folder.

    + hosts: names and data instead of an inventory; all are this machine, unless they have a port
    + answer: what to answer when asked; None to ask nobody
    """
    lines: list[str] = []
    progress: list[str] = []
    shown: list[RunResult] = []

    def confirm(planned: RunResult) -> bool:
        shown.append(planned)
        return bool(answer)

    with _place(folder, environ), _inventory(hosts):
        result = run(
            verb,
            Options(**options),
            _progress(lines, progress),
            apply=verb != "plan",
            confirm=None if answer is None else confirm,
        )
    return result, lines, progress, shown


def read_status(
    folder: str, environ: Mapping[str, str], hosts: Hosts, parts: Mapping[str, str]
) -> tuple[HostStatus, ...]:
    """The status of hosts; a part ``good``, ``bad`` or ``broken`` stands for a real one."""

    def part(word: str) -> status.Reader:
        def read(_host: object, _settings: object) -> Part:
            if word == "broken":
                raise ConnectionResetError("gone")
            return Part(word == "good", word)

        return read

    readers = {name: part(word) for name, word in parts.items()}
    with _place(folder, environ), _inventory(hosts):
        return status.read_status(Options("@local"), _progress([], []), readers)


def summary(verb: str, options: Mapping[str, Any]) -> str:
    """What the lock says of a run."""
    return Options(**options).summary(verb)


def locks(folder: str, path: str, runs: int) -> list[dict[str, Any]]:
    """Several runs that take one lock, one after the other, and then give it back."""
    held = []
    answers = []
    with _place(folder, {}), _inventory({"h": {}}):
        for _ in range(runs):
            lines: list[str] = []
            request = session.Request("", str, "@local", Path(folder), (), {}, False, 2)
            run_ = session.Session(request, _progress(lines, []))
            run_.connect()
            lock = new_lock("rocminfra apply --limit h", path)
            lock.take(run_.state, run_.active)
            held.append((lock, run_, run_.active))
            answers.append(
                {
                    "active": [host.name for host in run_.active],
                    "failures": list(failures(run_.hosts[0])),
                    "lines": lines,
                }
            )
        for lock, run_, active in held:
            lock.free(run_.state, active)
            run_.close()
    return answers


def argument(folder: str, environ: Mapping[str, str], given: str | None) -> tuple[str, list[str]]:
    """The inventory that ``-i`` means, and the hosts in it."""
    with _place(folder, environ):
        name = inventory_argument(given)
        if name.startswith("inventory/"):
            return name, []
        return name, [host.name for host in load_inventory(name, {})]


def data(items: Sequence[str], wipe: Sequence[str]) -> dict[str, Any]:
    """What ``--data`` and ``--wipe`` mean."""
    return parse_data(items, wipe)


def limited(names: Sequence[str], group: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The hosts that a limit leaves."""
    inventory = Inventory((list(names), {}), group=(list(group), {}))
    return [host.name for host in limit_hosts(inventory, patterns, "inventory/lab.py")]


def checked(hosts: Hosts, override: Mapping[str, Any]) -> None:
    """Check settings of hosts."""
    inventory = Inventory((list(hosts.items()), {}), override_data=dict(override))
    check_settings(list(inventory), override)


def records(
    folder: str, environ: Mapping[str, str], path: str, actions: Sequence[str]
) -> list[Any]:
    """What the record at a path says; ``look`` as planning takes it, the others as they are."""
    found = []
    original, host_record.RECORD = host_record.RECORD, path
    try:
        with _place(folder, environ), _inventory({"h": {}}):
            request = session.Request("", str, "@local", Path(folder), (), {}, False, 0)
            with session.Session(request, _progress([], [])) as run_:
                run_.connect()
                for action in actions:
                    answer = host_record.ask_record(run_.state, run_.hosts[0], action)
                    found.append(removing.seen_of(answer) if action == "look" else answer)
    finally:
        host_record.RECORD = original
    return found


def since(text: str) -> dict[str, float]:
    """What ``logs --since`` means."""
    return logs.since_of(text)


def book_events(lines: Sequence[Mapping[str, Any]], running: str | None) -> list[dict[str, Any]]:
    """Events of a book's lines, as plain data."""
    return [dataclasses.asdict(event) for event in book.events_of(lines, running)]


def merged(hosts: Mapping[str, Sequence[tuple[str | None, str]]]) -> list[str]:
    """Texts of the hosts' lines in the order in which they are shown."""
    answers = [
        Answered(name, tuple(logs.Line(name, time, "engine", "", text) for time, text in lines))
        for name, lines in hosts.items()
    ]
    return [line.text for line in logs.merged(answers)]


def _progress(lines: list[str], progress: list[str]) -> Progress:
    def host(name: str, success: bool, changed: bool, _seconds: float) -> None:
        progress.append(f"{name} {'changed' if changed else 'ok' if success else 'failed'}")

    return Progress(lines.append, progress.append, host)


@contextmanager
def _place(folder: str, environ: Mapping[str, str]) -> Iterator[None]:
    before, directory = dict(os.environ), os.getcwd()
    for name in [name for name in os.environ if name.startswith("ROCMINFRA_")]:
        del os.environ[name]
    os.environ.pop("HF_TOKEN", None)
    os.environ.update(environ)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(before)
        PYTHON_CODES.clear()


@contextmanager
def _inventory(hosts: Hosts | None) -> Iterator[None]:
    def load(_argument: str, override: Mapping[str, Any]) -> Inventory:
        inventory = Inventory((list((hosts or {}).items()), {}), override_data=dict(override))
        for host in inventory:
            if "ssh_port" not in (hosts or {})[host.name]:
                host.connector_cls = LocalConnector
        return inventory

    original = session.load_inventory
    if hosts is not None:
        session.load_inventory = load
    try:
        yield
    finally:
        session.load_inventory = original


def pyinfras_data(text: str) -> Any:
    """A value as pyinfra's own command reads it after ``--data KEY=``."""
    return parse_cli_arg(text)


def judged(status: int, said: list[str], version: str, sudo: bool) -> Failure:
    """What is said of a host that did not run a command."""
    inventory = Inventory((["away"], {"ssh_user": "ops"}))
    host = inventory.get_host("away")
    return unusable_login.judged(host, status, said, version, {"_sudo": sudo})


def lock_not_taken(output: str, errors: str) -> Failure:
    """What is said of a host that could not take the lock, by what its program said."""
    return host_lock.not_taken("/var/lib/rocminfra/lock", output, errors)


def not_reached(error: Exception) -> Failure:
    """What is said of a host when connecting to it raised this."""
    inventory = Inventory((["away"], {"ssh_user": "ops"}))
    return connection_trouble.unreachable(inventory.get_host("away"), error)


def waiting(name: str, seconds: float) -> float:
    """Change a limit of the check of a connection; what it was before."""
    before: float = vars(connection_check)[name]
    setattr(connection_check, name, seconds)
    return before


def resumed_run(run: str | None, found: Any, inventory: str, declared: Any = None) -> Any:
    """Which run goes on when hosts know these, and its scenario."""
    silent = Failure(Fault.HOST_UNREACHABLE, "a cannot be reached")
    session = mock.Mock(results=lambda: (mock.Mock(failures=(silent,)),))
    with (
        mock.patch.object(bench_runs, "_session", return_value=nullcontext(session)),
        mock.patch.object(bench_runs, "_runs", return_value=found),
        mock.patch.object(bench_runs, "_declared_scenarios", return_value=declared or {}),
    ):
        return bench_runs.resumed_run(run, Options(inventory), None)  # type: ignore[arg-type]
