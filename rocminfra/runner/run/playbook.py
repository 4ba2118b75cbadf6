"""The verbs that run the playbook: plan, apply, bench."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rocminfra.playbook_files import playbook_root
from rocminfra.runner.errors import CommandError
from rocminfra.runner.exit_codes import ExitCode
from rocminfra.runner.run.results import FailureResult, HostResult, RunResult
from rocminfra.runner.run.session import Progress, Request, Session
from rocminfra.runner.run.targets import inventory_argument, parse_data
from rocminfra.settings.secret_names import shown_item

# How tasks/benchmark.py names the operation that runs detached on the host.
_RUN = re.compile(r"Benchmark .*\brun (\d{8}T\d{6}Z)")

# What a verb runs when no files are named.
FILES = {
    "plan": ("deploy.py",),
    "apply": ("deploy.py",),
    "bench": ("tasks/benchmark.py",),
}


@dataclass(frozen=True)
class Options:
    """What the command line says, the same for every verb.

    + inventory: file or names, None for the default
    + limit: host names, groups or patterns
    + data: ``key=value`` items
    + wipe: wipe tokens
    + files: files of the playbook; empty for the verb's own
    + verbosity: 0, 1 or 2
    """

    inventory: str | None = None
    limit: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    wipe: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    verbosity: int = 0

    def command(self, verb: str, host: str | None = None) -> str:
        """The command line that does ``verb`` with the same options.

        Wipe tokens are not repeated, and of data that may hold a secret only the key is.

        + host: limits it to this host
        """
        words = ["rocminfra", verb]
        if self.inventory is not None:
            words += ["-i", self.inventory]
        for limit in self.limit if host is None else (host,):
            words += ["--limit", limit]
        for item in self.data:
            words += ["--data", shown_item(item)]
        return shlex.join([*words, *self.files])

    def summary(self, verb: str) -> str:
        """What ``verb`` does, for others who find a host locked: no inventory and no data."""
        limits = [word for limit in self.limit for word in ("--limit", limit)]
        return shlex.join(["rocminfra", verb, *limits, *self.files])


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

    Never raises for what goes wrong on hosts; raises :class:`CommandError` when there is nothing
    to run.
    """
    folder, paths = playbook_files(options.files or FILES[verb])
    request = Request(
        command=options.summary(verb),
        again=partial(options.command, verb),
        inventory=inventory_argument(options.inventory),
        folder=folder,
        limit=options.limit,
        data=parse_data(options.data, options.wipe),
        detect_changes=not apply or confirm is not None,
        verbosity=options.verbosity,
    )
    names = tuple(str(path.relative_to(folder)) for path in paths)
    result = RunResult(verb, request.inventory, names)
    with Session(request, progress) as session:
        try:
            session.connect()
            session.prepare(paths)
            if apply:
                planned = dataclasses.replace(result, hosts=session.results())
                if confirm is None or (planned.changes and confirm(planned)):
                    session.execute()
        except KeyboardInterrupt:
            return dataclasses.replace(
                result,
                hosts=session.results(),
                interrupted=True,
                resume=_benchmark_under_way(session.under_way()),
            )
        return dataclasses.replace(result, hosts=session.results())


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
            raise CommandError(
                ExitCode.SETTINGS, str(error), next_command="rocminfra init DIR"
            ) from None
    paths = [folder / file for file in files]
    for path in paths:
        if not path.is_file():
            shipped = ", ".join(
                ["deploy.py", *sorted(f"tasks/{p.name}" for p in (folder / "tasks").glob("*.py"))]
            )
            raise CommandError(
                ExitCode.SETTINGS,
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


def error_result(verb: str, error: CommandError) -> RunResult:
    """A run that ended before it reached a host."""
    failure = FailureResult(error.code, error.what, error.why, error.next_command)
    return RunResult(verb, "", (), error=failure)


def _benchmark_under_way(operations: Sequence[str]) -> str | None:
    """The run that an interrupted benchmark operation has in its name."""
    for name in operations:
        match = _RUN.search(name)
        if match is not None:
            return match[1]
    return None
