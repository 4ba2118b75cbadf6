"""`droplet run`: create, wait, apply, run a command, collect, and destroy whatever happened."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rocminfra.droplets import children, creation, destruction, tags
from rocminfra.droplets.arrival import Arrived, arrive
from rocminfra.droplets.clock import lasting
from rocminfra.droplets.cloud import Cloud
from rocminfra.droplets.collecting import collect
from rocminfra.droplets.hosts import host_keys, merged, write_hosts_file
from rocminfra.droplets.interrupts import Interrupted
from rocminfra.droplets.ledger import BY_PERSON, BY_RUN, Entry
from rocminfra.droplets.offer import Offer
from rocminfra.failure import Do, ExitCode, FailedError, Failure, Fault

# Destroying takes a minute or two, and is paid for.
MARGIN_S = 180.0
HOSTS_FILE = "ROCMINFRA_HOSTS_FILE"
HOSTS = "ROCMINFRA_HOSTS"
RESULTS = "results"


@dataclass(frozen=True)
class Job:
    """What a run does on its droplet.

    + command: runs on this machine, with the droplet as its only host
    + apply: the command that applies the playbook before; empty for none
    + keep_on_failure: leave the droplet to a person when something went wrong
    + defaults: settings for the host, as a hosts file's ``defaults`` has them
    + own: what the operator's hosts file says about a host of this name
    + results: folder that what was collected goes to
    + stdout: where commands print to, None for this process's own
    """

    command: tuple[str, ...]
    apply: tuple[str, ...] = ()
    keep_on_failure: bool = False
    identity: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    results: Path = Path(RESULTS)
    stdout: IO[str] | None = None


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    + code: COMMAND's own exit code where it ran to its end
    + entry: the droplet's line in the ledger, None when nothing was created
    + usd: what the droplet cost
    + failures: what went wrong besides, the most important last
    + collected: folder with what was brought back, None for nothing
    """

    code: int
    entry: Entry | None
    seconds: float = 0.0
    usd: float = 0.0
    failures: tuple[Failure, ...] = ()
    collected: Path | None = None


def create_and_wait(
    cloud: Cloud, wanted: Offer, owner: str, tag: str, identity: str | None
) -> Arrived:
    """Create a droplet and wait until it can be worked on."""
    entry = creation.create(cloud, wanted, owner, tag, identity)
    return arrive(cloud, entry)


def create_for_person(
    cloud: Cloud, wanted: Offer, identity: str | None, keep_on_failure: bool
) -> Arrived:
    """`droplet create`: a droplet that stays; one that did not become usable is destroyed.

    Raises :class:`FailedError`, with what destroying said when that failed too.
    """
    tag = tags.new_unique()
    keeping = "what was created is not left unattended"
    with cloud.folder.run_alive(tag), cloud.interrupts.ignored(keeping):
        try:
            with cloud.interrupts.allowed():
                return create_and_wait(cloud, wanted, BY_PERSON, tag, identity)
        except BaseException as error:
            problem = _abandon(cloud, tag, keep_on_failure)
            if problem is not None and isinstance(error, FailedError):
                first = error.failure
                why = (first.what, *first.why, *problem.why)
                raise FailedError.of(
                    Failure(problem.fault, problem.what, why, problem.next)
                ) from None
            if problem is not None:
                raise FailedError.of(problem) from error
            raise


def run(cloud: Cloud, wanted: Offer, job: Job, environ: Mapping[str, str]) -> Outcome:
    """Do ``job`` on a droplet of its own, which is gone when this returns, or named in the
    failures. Raises nothing for what goes wrong on the way."""
    tag = tags.new_unique()
    failures: list[Failure] = []
    collected: list[Path] = []
    code: int = ExitCode.UNEXPECTED
    keeping = "the droplet is destroyed"
    with cloud.folder.run_alive(tag), cloud.interrupts.ignored(keeping):
        try:
            with cloud.interrupts.allowed():
                arrived = create_and_wait(cloud, wanted, BY_RUN, tag, job.identity)
                code = _work(cloud, arrived, job, environ, failures, collected)
        except FailedError as error:
            failures.append(error.failure)
            code = error.failure.kind
        except Interrupted as interrupted:
            code = ExitCode.INTERRUPTED
            cloud.say(f"{signal.Signals(interrupted.number).name}: ending the run")
        except BaseException:
            problem = _abandon(cloud, tag, job.keep_on_failure)
            if problem is not None:
                cloud.say(f"{problem.what}: {'; '.join(problem.why)}")
            raise
        problem = _abandon(cloud, tag, job.keep_on_failure and code != 0)
        if problem is not None:
            failures.append(problem)
            code = problem.kind if code == 0 else code
    entry = cloud.ledger.entry(tag)
    now = cloud.clock.now()
    paid = entry is not None and entry.id is not None
    return Outcome(
        code,
        entry,
        (entry.closed_at or now) - entry.at if entry is not None and paid else 0.0,
        destruction.cost_of(entry, None, now) if entry is not None and paid else 0.0,
        tuple(failures),
        collected[0] if collected else None,
    )


def _work(
    cloud: Cloud,
    arrived: Arrived,
    job: Job,
    environ: Mapping[str, str],
    failures: list[Failure],
    collected: list[Path],
) -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rocminfra-run-")))
        hosts = folder / "hosts.yaml"
        keys = host_keys(arrived.droplet, arrived.entry, cloud.folder)
        write_hosts_file(hosts, arrived.entry.name, merged(keys, job.own), job.defaults)
        env = children.environment(environ, {HOSTS_FILE: str(hosts)})
        env.pop(HOSTS, None)
        try:
            for title, command in (("apply", job.apply), ("command", job.command)):
                if not command:
                    continue
                code = _one(cloud, arrived.entry, title, command, env, job.stdout)
                if code != 0:
                    break
        except BaseException:
            _collect(cloud, arrived, job, collected)
            raise
        if code != 0:
            _collect(cloud, arrived, job, collected)
        return code


def _one(
    cloud: Cloud,
    entry: Entry,
    title: str,
    command: tuple[str, ...],
    env: Mapping[str, str],
    stdout: IO[str] | None,
) -> int:
    left = entry.expires - MARGIN_S - cloud.clock.now()
    cloud.say(f"{entry.label}: {title}: {command[0]} …, {lasting(left)} left")
    try:
        code = children.run(command, env, left, stdout)
    except children.TimeUpError:
        raise FailedError.of(_time_up(entry, title)) from None
    except OSError as error:
        what = f"the command cannot be started: {command[0]}: {error.strerror}"
        raise FailedError.of(Failure(Fault.COMMAND_NOT_STARTED, what)) from None
    if code != 0:
        cloud.say(f"{entry.label}: {title} ended with exit code {code}")
    return code


def _collect(cloud: Cloud, arrived: Arrived, job: Job, collected: list[Path]) -> None:
    """What there is to learn from a failure is on the droplet, which is about to go."""
    with cloud.interrupts.held("logs are brought back"):
        folder = job.results / f"{arrived.entry.name}-{arrived.droplet.id}"
        if collect(cloud, arrived, folder):
            collected.append(folder)


def _abandon(cloud: Cloud, tag: str, keep: bool) -> Failure | None:
    """Destroy what was created under ``tag``, or leave it to a person; what may still run."""
    with cloud.interrupts.ignored("what was created is destroyed"):
        entry = cloud.ledger.entry(tag)
        if entry is None or not entry.is_open:
            return None
        try:
            if keep and entry.id is not None:
                cloud.ledger.keep(entry)
                return _kept(entry)
            destruction.destroy_entry(cloud, entry)
        except FailedError as error:
            return error.failure
    return None


def _kept(entry: Entry) -> Failure:
    return Failure(
        Fault.DROPLET_KEPT,
        f"droplet {entry.label} stays, at ${entry.usd_per_hour:.2f} an hour",
        ("--keep-on-failure",),
        Do(f"rocminfra droplet ssh {entry.name}; then: rocminfra droplet destroy {entry.name}"),
    )


def _time_up(entry: Entry, title: str) -> Failure:
    hours = (entry.expires - entry.at) / 3600
    return Failure(
        Fault.TIME_LIMIT,
        f"{title} was ended: droplet {entry.label} may live for {hours:g} h, and no longer",
        next=Do("the same with a larger --max-hours"),
    )


def apply_command(data: tuple[str, ...]) -> tuple[str, ...]:
    """`rocminfra apply` as a child of this process."""
    words = [sys.executable, "-m", "rocminfra", "apply", "--yes"]
    for item in data:
        words += ["--data", item]
    return tuple(words)
