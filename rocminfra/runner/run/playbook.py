"""The verbs that run the playbook: plan, apply, bench."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rocminfra.failure import Do, FailedError, Fault
from rocminfra.playbook_files import playbook_root
from rocminfra.runner.run.options import Options
from rocminfra.runner.run.results import HostResult, HostState, Outcome, RunResult
from rocminfra.runner.run.session import Progress, Request, Session
from rocminfra.runner.run.targets import inventory_argument, parse_data

# What a verb runs when no files are named.
FILES = {
    "plan": ("deploy.py",),
    "apply": ("deploy.py",),
    "bench": ("tasks/benchmark.py",),
}


# Shown a plan, answers whether to go on.
Confirm = Callable[[RunResult], bool]


def run(
    verb: str,
    options: Options,
    progress: Progress,
    *,
    apply: bool,
    confirm: Confirm | None = None,
) -> RunResult:
    """Run the playbook, or only say what it would do.

    + verb: ``plan``, ``apply`` or ``bench``
    + apply: whether to change anything
    + confirm: asked before anything changes, after the changes have been detected; without it
      operations run at once

    Never raises for what goes wrong on hosts; raises :class:`FailedError` when there is nothing
    to run.
    """
    folder, paths = playbook_files(options.files or FILES[verb])
    request = Request(
        command=options.summary(verb),
        again=partial(options.again, verb),
        inventory=inventory_argument(options.inventory),
        folder=folder,
        limit=options.limit,
        data=parse_data((*options.implied, *options.data), options.wipe),
        detect_changes=not apply or confirm is not None,
        verbosity=options.verbosity,
        with_load_generators=verb == "bench",
    )
    names = tuple(str(path.relative_to(folder)) for path in paths)
    result = RunResult(verb, request.inventory, names)
    started = time.monotonic()
    declined = False
    with Session(request, progress) as session:
        try:
            session.connect()
            session.prepare(paths)
            if apply:
                planned = dataclasses.replace(result, hosts=session.results())
                declined = confirm is not None and bool(planned.changes) and not confirm(planned)
                if confirm is None or (planned.changes and not declined):
                    session.execute()
        except KeyboardInterrupt:
            return dataclasses.replace(
                result,
                hosts=tuple(_cut_short(host) for host in session.results()),
                interrupted=True,
                resume=session.benchmark(),
            )
        return dataclasses.replace(
            result,
            hosts=session.results(),
            declined=declined,
            seconds=time.monotonic() - started,
        )


def _cut_short(host: HostResult) -> HostResult:
    """A host of a run that somebody ended; what it got to is no plan and no success."""
    whole = host.state is HostState.DONE and not host.count(Outcome.NOT_RUN)
    if host.failed or whole:
        return host
    return dataclasses.replace(host, state=HostState.INTERRUPTED)


def benchmark_data(
    data: Sequence[str], scenario: str | None, resume: str | None
) -> tuple[str, ...]:
    """``--data`` items of a benchmark: those given, its scenario and the run to resume."""
    extra = []
    if scenario:
        extra.append(f"bench.scenario={scenario}")
    if resume:
        extra.append(f"bench.run={resume}")
    return (*data, *extra)


def playbook_files(files: Sequence[str]) -> tuple[Path, list[Path]]:
    """The playbook's folder and the files to run.

    The working directory is the playbook when it has the files; otherwise the shipped one is.
    """
    here = Path.cwd()
    if all((here / file).is_file() for file in files):
        folder = here
    else:
        try:
            folder = playbook_root()
        except FileNotFoundError as error:
            raise FailedError(
                Fault.PLAYBOOK_FILE_MISSING, str(error), next=Do("rocminfra init DIR")
            ) from None
    paths = [folder / file for file in files]
    for path in paths:
        if not path.is_file():
            shipped = ", ".join(
                ["deploy.py", *sorted(f"tasks/{p.name}" for p in (folder / "tasks").glob("*.py"))]
            )
            raise FailedError(
                Fault.PLAYBOOK_FILE_MISSING,
                f"there is no playbook file {path}",
                (f"there are: {shipped}",),
            )
    return folder, paths


def hosts_done(result: RunResult) -> tuple[str, ...]:
    """Names of the hosts that an apply went well on."""
    return tuple(host.name for host in result.hosts if not host.failed)


def failed(result: RunResult) -> tuple[HostResult, ...]:
    """Hosts that are a reason for the exit code."""
    return tuple(host for host in result.hosts if host.failed)


def error_result(verb: str, error: FailedError) -> RunResult:
    """A run that ended before it reached a host."""
    failure = error.failure
    return RunResult(verb, "", (), error=failure)
