"""What a run did, as data. Nothing here prints, and nothing here knows pyinfra."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from rocminfra.failure import ExitCode, Failure, most_severe
from rocminfra.planning.bench.verified import VerifiedFiles
from rocminfra.planning.foreseen import Foreseen
from rocminfra.planning.serving import Served


class Outcome(Enum):
    """What became of one operation on one host."""

    PENDING = "pending"  # a plan: it would change something
    CONDITIONAL = "conditional"  # a plan: it may, depending on an earlier operation
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    NOT_RUN = "not-run"  # the host's run ended before it


class HostState(Enum):
    """What became of one host."""

    PLANNED = "planned"
    DONE = "done"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    INTERRUPTED = "interrupted"  # before all of it was looked at, or done


@dataclass(frozen=True)
class OperationResult:
    """One operation on one host.

    + name: as the playbook calls it, with the task's file in front
    + outcome: what became of it
    + seconds: how long it took; None when it did not run
    + stderr: what the host said, when it failed
    + foreseen: a plan: what it would do
    """

    name: str
    outcome: Outcome
    seconds: float | None = None
    stderr: tuple[str, ...] = ()
    foreseen: tuple[Foreseen, ...] = ()


@dataclass(frozen=True)
class HostResult:
    """One host's part of a run.

    + name: the host
    + state: what became of it
    + operations: in the order of the playbook
    + failures: why its run ended
    + foreseen: a plan: what was found out about the host, outside of operations
    + served: the engine that answered in this run
    + usd_per_hour: what the machine costs, as the settings say
    + results_folder: where its benchmark's results are on this machine, if there were any
    + verified: files in it that this run has compared with the manifest
    """

    name: str
    state: HostState
    operations: tuple[OperationResult, ...] = ()
    failures: tuple[Failure, ...] = ()
    results_folder: str | None = None
    foreseen: tuple[Foreseen, ...] = ()
    usd_per_hour: float | None = None
    served: Served | None = None
    verified: VerifiedFiles = field(default_factory=dict)

    def count(self, *outcomes: Outcome) -> int:
        """How many operations ended in one of ``outcomes``."""
        return sum(operation.outcome in outcomes for operation in self.operations)

    @property
    def changes(self) -> int:
        """Operations that changed something, or would."""
        return self.count(Outcome.PENDING, Outcome.CONDITIONAL, Outcome.CHANGED)

    @property
    def failed(self) -> bool:
        """Whether this host is a reason for an exit code other than 0."""
        return self.state in (HostState.FAILED, HostState.UNREACHABLE) or bool(self.failures)

    @property
    def code(self) -> ExitCode:
        """Exit code that this host alone would give."""
        if self.failures:
            return most_severe(failure.kind for failure in self.failures)
        if self.state is HostState.UNREACHABLE:
            return ExitCode.UNREACHABLE
        return ExitCode.UNEXPECTED if self.state is HostState.FAILED else ExitCode.DONE


@dataclass(frozen=True)
class RunResult:
    """A whole run.

    + verb: ``plan``, ``apply`` or ``bench``
    + inventory: where the hosts come from
    + files: playbook files that were run
    + hosts: in the inventory's order
    + interrupted: whether somebody ended it
    + resume: id of the benchmark that continues on the hosts, after an interruption
    + error: what ended it before or beside the hosts
    + then: the benchmark that followed an ``apply --bench``
    + declined: whether somebody was asked and did not want it
    + seconds: how long all of it took
    """

    verb: str
    inventory: str
    files: tuple[str, ...]
    hosts: tuple[HostResult, ...] = ()
    interrupted: bool = False
    resume: str | None = None
    error: Failure | None = None
    then: RunResult | None = None
    declined: bool = False
    seconds: float | None = None

    @property
    def changes(self) -> int:
        """Operations that changed something, or would, on all hosts."""
        return sum(host.changes for host in self.hosts)

    @property
    def code(self) -> ExitCode:
        """The run's exit code: the most severe of its hosts' (``failure.SEVERITY``)."""
        codes = [host.code for host in self.hosts]
        if self.interrupted:
            codes.append(ExitCode.INTERRUPTED)
        if self.error is not None:
            codes.append(self.error.kind)
        if self.then is not None:
            codes.append(self.then.code)
        return most_severe(codes)
