"""Results as JSON, in the form that ``schemas/*.json`` publish."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rocminfra import __version__
from rocminfra.failure import ExitCode, FailedError, Failure, most_severe, next_words
from rocminfra.planning.foreseen import Foreseen
from rocminfra.report.table import Row, Table, read_table
from rocminfra.runner.run.results import HostResult, OperationResult, RunResult
from rocminfra.runner.run.status_results import HostStatus
from rocminfra.runner.typed import again
from rocminfra.settings.argument_names import SETTING_OF

SCHEMA_VERSION = 1


def run_document(result: RunResult, code: ExitCode) -> dict[str, Any]:
    """A plan, apply or bench.

    + code: the process's exit code, which ``plan --exit-code`` makes 2 for pending changes
    """
    document = {
        "schema": SCHEMA_VERSION,
        "rocminfra": __version__,
        "verb": result.verb,
        "code": int(code),
        "inventory": result.inventory,
        "files": list(result.files),
        "changes": result.changes,
        "interrupted": result.interrupted,
        "resume": result.resume,
        "hosts": [_host(host) for host in result.hosts],
        "error": None if result.error is None else failure_document(result.error),
    }
    if result.verb == "bench":
        document["points"] = [dataclasses.asdict(row) for row in measured_points(result)]
    if result.verb == "apply":
        then = result.then
        document["bench"] = None if then is None else run_document(then, then.code)
    return document


def measured_points(result: RunResult) -> list[Row]:
    """The points that a benchmark measured, of all its hosts, as the result folders say."""
    return [row for table in tables(result) for row in table.rows]


def tables(result: RunResult) -> list[Table]:
    """The tables of the run folders that a benchmark wrote to; usually it is one."""
    folders = [host.results_folder for host in result.hosts if host.results_folder is not None]
    names = {Path(folder).name for folder in folders}
    found = []
    for run in dict.fromkeys(Path(folder).parent for folder in folders):
        table = read_table(run)
        # A run that is resumed may hold hosts that were left out this time.
        rows = tuple(row for row in table.rows if row.host in names)
        found.append(dataclasses.replace(table, rows=rows))
    return found


def status_document(hosts: tuple[HostStatus, ...], error: Failure | None) -> dict[str, Any]:
    """The status as ``schemas/status.json`` publishes it."""
    codes = [host.code for host in hosts]
    if error is not None:
        codes.append(error.kind)
    return {
        "schema": SCHEMA_VERSION,
        "rocminfra": __version__,
        "verb": "status",
        "code": int(most_severe(codes)),
        "hosts": [
            {
                "name": host.name,
                "parts": {
                    name: {
                        "good": part.good,
                        "words": part.words,
                        "details": part.details,
                        "next_command": part.cure if isinstance(part.cure, str) else None,
                    }
                    for name, part in host.parts.items()
                },
                "failures": [failure_document(failure) for failure in host.failures],
            }
            for host in hosts
        ],
        "error": None if error is None else failure_document(error),
    }


def init_document(folder: str, files: Sequence[Path], error: FailedError | None) -> dict[str, Any]:
    """What was laid out: nothing when there is an error."""
    if error is not None:
        return {**error_document("init", error), "folder": folder, "files": []}
    return {
        "schema": SCHEMA_VERSION,
        "rocminfra": __version__,
        "verb": "init",
        "code": int(ExitCode.DONE),
        "folder": folder,
        "files": [str(file) for file in files],
        "error": None,
    }


def failure_document(failure: Failure) -> dict[str, Any]:
    """Why a host's run, or a command, ended."""
    return {
        "code": int(failure.kind),
        "kind": failure.kind.name.lower(),
        "fault": failure.fault.code,
        "what": failure.what,
        "why": list(failure.why),
        "next_command": None
        if failure.next is None
        else next_words(failure.next, again, SETTING_OF),
    }


def error_document(verb: str, error: FailedError) -> dict[str, Any]:
    """A verb that could not answer at all."""
    return {
        "schema": SCHEMA_VERSION,
        "rocminfra": __version__,
        "verb": verb,
        "code": int(error.failure.kind),
        "error": failure_document(error.failure),
    }


def dump(document: dict[str, Any]) -> str:
    """JSON text of a document."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def _host(host: HostResult) -> dict[str, Any]:
    return {
        "name": host.name,
        "state": host.state.value,
        "changes": host.changes,
        "operations": [_operation(operation) for operation in host.operations],
        "failures": [failure_document(failure) for failure in host.failures],
        "results": host.results_folder,
        "foreseen": [_foreseen(one) for one in host.foreseen],
        "served": None if host.served is None else dataclasses.asdict(host.served),
    }


def _foreseen(one: Foreseen) -> dict[str, Any]:
    return {
        "words": one.words,
        "diff": list(one.diff),
        "download_bytes": one.download_bytes,
        "restarts": one.restarts,
    }


def _operation(operation: OperationResult) -> dict[str, Any]:
    return {
        "name": operation.name,
        "outcome": operation.outcome.value,
        "seconds": None if operation.seconds is None else round(operation.seconds, 3),
        "stderr": list(operation.stderr),
        "foreseen": [_foreseen(one) for one in operation.foreseen],
    }
