"""Benchmark runs that hosts know: listed, followed, stopped, brought back; without the playbook."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pyinfra.api.host import Host
from pyinfra.context import ctx_config, ctx_host

from rocminfra.bench.scenario import load_scenario, scenario_names
from rocminfra.facts.bench_runs import BenchRuns, HostRun
from rocminfra.failure import Do, ExitCode, FailedError, Failure, Fault, most_severe
from rocminfra.host_paths import RUNS
from rocminfra.operations import bench
from rocminfra.operations.progress import listen
from rocminfra.planning.bench.progress import Status
from rocminfra.playbook_files import playbook_root
from rocminfra.runner.run.execution import on_each
from rocminfra.runner.run.options import Options
from rocminfra.runner.run.results import HostState, RunResult
from rocminfra.runner.run.session import Progress, Request, Session
from rocminfra.runner.run.targets import inventory_argument, parse_data
from rocminfra.settings import load_settings
from rocminfra.settings.problems import SettingsError


@dataclass(frozen=True)
class HostRuns:
    """The runs of one host, or one of them.

    + runs: the newest first
    + status: how far the one that was asked for is
    + failures: why the host could not be asked
    """

    name: str
    runs: tuple[HostRun, ...] = ()
    status: Status | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def code(self) -> ExitCode:
        """Exit code that this host alone would give."""
        return most_severe(failure.kind for failure in self.failures)


@dataclass(frozen=True)
class Runs:
    """What hosts say of their runs.

    + verb: such as ``bench list``
    + run: the run that was asked for; empty for all
    """

    verb: str
    run: str
    hosts: tuple[HostRuns, ...]

    @property
    def code(self) -> ExitCode:
        """The most severe of its hosts' codes."""
        return most_severe(host.code for host in self.hosts)


def list_runs(options: Options, progress: Progress) -> Runs:
    """Every run of every host."""
    with _session("bench list", options, progress) as session:
        found = _runs(session)
        return Runs("bench list", "", _hosts(session, found, {}))


def resumed_run(run: str | None, options: Options, progress: Progress) -> tuple[str, str | None]:
    """The run that is to go on, and its scenario's name; None where the settings name it, or
    where no host says.

    + run: its id; None for the last one of any of the hosts

    Raises :class:`FailedError` when there is no last one or no host says, or when its scenario is
    no file of ``benchmarks/`` and not the settings' own, so that only a person can name it.
    """
    with _session("bench", options, progress) as session:
        found = _runs(session)
        if not found and run is None:
            # Which was the last is not known, and a host that answers later would begin a new one.
            failures = [one for result in session.results() for one in result.failures]
            if failures:
                raise FailedError.of(failures[0])
        name = _named(found, None, options) if run is None else run
        known = {
            host: one.scenario
            for host, runs in found.items()
            for one in runs
            if one.run == name and one.scenario
        }
        declared = _declared_scenarios(session, known)
    if declared == known:
        return name, None
    scenario = next(iter(known.values()))
    if scenario not in scenario_names(playbook_root() / "benchmarks"):
        raise FailedError(
            Fault.RUN_OF_ANOTHER_SCENARIO,
            f"run {name} was made with scenario {scenario}, which is no file of benchmarks/",
            next=Do(f"{options.command('bench')} --resume {name} --scenario PATH"),
        )
    return name, scenario


def read_statuses(run: str | None, options: Options, progress: Progress) -> Runs:
    """How far a run is on the hosts that know it.

    + run: its id; None for the last
    """
    return _on_hosts("bench status", run, options, progress, bench.status)


def stop_run(run: str | None, options: Options, progress: Progress) -> Runs:
    """End a run on the hosts that know it; what was measured stays there."""
    return _on_hosts("bench stop", run, options, progress, bench.stop)


def attach_run(run: str | None, options: Options, progress: Progress) -> RunResult:
    """Follow a run to its end on the hosts that know it, and bring it back."""
    return _brought("bench attach", run, options, progress, bench.attach)


def collect_run(run: str | None, options: Options, progress: Progress) -> RunResult:
    """Bring a run back from the hosts that know it."""
    return _brought("bench collect", run, options, progress, bench.collect)


def _on_hosts(
    verb: str,
    run: str | None,
    options: Options,
    progress: Progress,
    work: Callable[..., Status | None],
) -> Runs:
    statuses: dict[str, Status] = {}
    with _session(verb, options, progress) as session:
        found = _runs(session)
        name = _named(found, run, options)

        def ask(host: Host) -> bool:
            with ctx_host.use(host):
                status = work(session.state, host, name)
            if status is not None:
                statuses[host.name] = status
            return status is not None

        on_each(session.state, _knowing(session, found, name), ask)
        own = {host: tuple(one for one in runs if one.run == name) for host, runs in found.items()}
        return Runs(verb, name, _hosts(session, own, statuses))


def _brought(
    verb: str,
    run: str | None,
    options: Options,
    progress: Progress,
    work: Callable[..., bool],
) -> RunResult:
    with _session(verb, options, progress) as session:
        found = _runs(session)
        name = _named(found, run, options)
        hosts = _knowing(session, found, name)

        def bring(host: Host) -> bool:
            settings = load_settings(host.data.dict())  # type: ignore[no-untyped-call]
            with (
                progress.activities.begin(f"Run {name}", host.name) as activity,
                ctx_host.use(host),
            ):
                listen(host, activity)
                return work(session.state, host, name, settings.bench.results_dir)

        result = RunResult("bench", session.request.inventory, ())
        try:
            on_each(session.state, hosts, bring)
        except KeyboardInterrupt:
            result = dataclasses.replace(result, interrupted=True, resume=name)
        names = {host.name for host in hosts}
        results = tuple(
            dataclasses.replace(one, state=HostState.DONE)
            if one.state is HostState.PLANNED
            else one
            for one in session.results()
            if one.name in names or one.failed
        )
        return dataclasses.replace(result, hosts=results)


def _session(verb: str, options: Options, progress: Progress) -> Session:
    request = Request(
        command=options.summary(verb),
        again=partial(options.again, verb),
        inventory=inventory_argument(options.inventory),
        folder=Path.cwd(),
        limit=options.limit,
        data=parse_data(options.data, ()),
        detect_changes=False,
        verbosity=options.verbosity,
    )
    return Session(request, progress)


def _runs(session: Session) -> dict[str, tuple[HostRun, ...]]:
    """Runs by host, of those that answer."""
    found: dict[str, tuple[HostRun, ...]] = {}
    session.connect()

    def ask(host: Host) -> bool:
        with ctx_config.use(session.state.config.copy()), ctx_host.use(host):
            found[host.name] = host.get_fact(BenchRuns, runs=RUNS, asked_at=time.time())
        return True

    on_each(session.state, session.active, ask)
    return found


def _named(found: dict[str, tuple[HostRun, ...]], run: str | None, options: Options) -> str:
    """The run that is meant; raises :class:`FailedError` when no host knows it."""
    known = sorted({one.run for runs in found.values() for one in runs}, reverse=True)
    if run is None and known:
        return known[0]
    if run in known:
        return str(run)
    if not found:
        # Nothing answered, and each host says why.
        return run or ""
    if run is None:
        what, following = "no benchmark has run on these hosts", options.command("bench run")
    else:
        what, following = f"no host knows run {run}", options.command("bench list")
    why = [f"known: {', '.join(known[:5])}"] if known else []
    raise FailedError(Fault.RUN_UNKNOWN, what, why, Do(following))


def _declared_scenarios(session: Session, hosts: Collection[str]) -> dict[str, str | None]:
    """Name of the scenario in each host's settings; None where it cannot be read."""
    found: dict[str, str | None] = {}
    for host in session.active:
        if host.name not in hosts:
            continue
        try:
            settings = load_settings(host.data.dict())  # type: ignore[no-untyped-call]
            folder = playbook_root() / "benchmarks"
            found[host.name] = load_scenario(settings.bench.scenario, folder).name
        except SettingsError:
            found[host.name] = None
    return found


def _knowing(session: Session, found: dict[str, tuple[HostRun, ...]], run: str) -> Sequence[Host]:
    names = {name for name, runs in found.items() if any(one.run == run for one in runs)}
    return [host for host in session.active if host.name in names]


def _hosts(
    session: Session, found: dict[str, tuple[HostRun, ...]], statuses: dict[str, Status]
) -> tuple[HostRuns, ...]:
    return tuple(
        HostRuns(
            result.name, found.get(result.name, ()), statuses.get(result.name), result.failures
        )
        for result in session.results()
    )
