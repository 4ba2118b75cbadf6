"""A plan in a file: ``plan --out`` writes it, ``apply --plan`` does that and nothing else.

The file holds what was asked for and, for every host, a digest of each operation that would change
something. Before anything is changed the plan is made once more; a host for which it comes out
otherwise has changed since, or the playbook has.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.runner.run.options import Options
from rocminfra.runner.run.results import HostResult, OperationResult, Outcome, RunResult

SCHEMA = 1
_WOULD_CHANGE = (Outcome.PENDING, Outcome.CONDITIONAL)

# Of one host: the name of each operation that would change something, and its digest.
Steps = list[list[str]]


@dataclasses.dataclass(frozen=True)
class SavedPlan:
    """What a file holds.

    + options: as they were given to ``plan``
    + hosts: what would be done, by host
    """

    options: Options
    hosts: Mapping[str, Steps]


def write(path: Path, options: Options, result: RunResult) -> None:
    """Write a plan; only its owner may read it, because settings are in it.

    Raises :class:`FailedError` when that is not possible.
    """
    document = {
        "schema": SCHEMA,
        "folder": str(Path.cwd()),
        "options": dataclasses.asdict(options),
        "hosts": {host.name: _steps(host) for host in result.hosts},
    }
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise FailedError(
            Fault.OUTPUT_NOT_WRITABLE,
            f"the plan cannot be written: {path}: {error.strerror}",
            next=Do(f"{options.command('plan')} --out FILE, in a folder that can be written to"),
        ) from None


def read(path: Path) -> SavedPlan:
    """The plan of a file; raises :class:`FailedError` for one that is none, or not for here."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']}")
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document["options"].items()
        }
        saved = SavedPlan(Options(**given), document["hosts"])
        folder = Path(document["folder"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise FailedError(
            Fault.PLAN_FILE_UNUSABLE,
            f"{path} is no plan that can be applied",
            (why,),
            Do(f"rocminfra plan --out {shlex.quote(str(path))}"),
        ) from None
    if folder != Path.cwd():
        raise FailedError(
            Fault.PLAN_FILE_UNUSABLE,
            f"{path} was planned in another folder",
            (f"planned in {folder}", f"this is {Path.cwd()}"),
            Do(f"cd {shlex.quote(str(folder))}"),
        )
    return saved


def refuse_what_changed(path: Path, saved: SavedPlan, planned: RunResult) -> None:
    """Raise :class:`FailedError` (5) when the plan does not come out as it is in the file.

    + path: the file, for the message
    + planned: the plan as it is now
    """
    why = []
    for host in planned.hosts:
        if host.failed:
            continue  # it is out of this run, and says why itself
        before, now = saved.hosts.get(host.name, []), _steps(host)
        if before != now:
            why += [f"{host.name}: {line}" for line in _differences(before, now)]
    why += [
        f"{name}: is not in the inventory any more"
        for name in saved.hosts
        if name not in {host.name for host in planned.hosts}
    ]
    if why:
        raise FailedError(
            Fault.PLAN_OUTDATED,
            f"{path} is not what would be done now; nothing was changed",
            why,
            Do(f"{saved.options.command('plan')} --out {shlex.quote(str(path))}"),
        )


def _differences(before: Steps, now: Steps) -> list[str]:
    old = {step[0]: step[1] for step in before}
    new = {step[0]: step[1] for step in now}
    lines = [f"'{name}' has nothing to do any more" for name in old if name not in new]
    lines += [f"'{name}' would change something as well" for name in new if name not in old]
    lines += [
        f"'{name}' would change something else"
        for name in new
        if old.get(name, "") != new[name]
        if name in old
    ]
    return lines or ["the order of the operations is another one"]


def _steps(host: HostResult) -> Steps:
    """Operations that would change something, each with a digest of what it would do."""
    return [
        [operation.name, _digest(operation)]
        for operation in host.operations
        if operation.outcome in _WOULD_CHANGE
    ]


def _digest(operation: OperationResult) -> str:
    what = [operation.name, operation.outcome.value]
    for one in operation.foreseen:
        what += [one.words, *one.diff, one.digest]
    return hashlib.sha256("\0".join(what).encode()).hexdigest()
