"""Which host of the inventory sends the load of which engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyinfra import host, logger, state
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.bench.job import Job
from rocminfra.bench.link import LoadGenerator, close_link, open_link
from rocminfra.facts.paths import PathStates
from rocminfra.failure import Again, FailedError, Failure, Fault
from rocminfra.host_paths import ENGINE_QUESTION
from rocminfra.operations.bench_remote import HostRemote, remote_of
from rocminfra.operations.host_failures import exclude
from rocminfra.operations.host_settings import InvalidSettings
from rocminfra.settings import Settings
from rocminfra.settings.addresses import in_url
from rocminfra.settings.load import load_pyinfra_settings
from rocminfra.settings.load_generators import named_by, problem
from rocminfra.settings.problems import SettingsError


@dataclass(frozen=True)
class Load:
    """Where the load of an engine comes from.

    + name: of the host in the inventory
    + address: where the engine's host reaches it over SSH; None for its address in the inventory
    + engine_at: ``address:port`` at which the engine is asked on its own host
    + target: base address of the engine, as that host reaches it; None for a tunnel
    """

    name: str
    address: str | None
    engine_at: str
    target: str | None


def of(settings: Settings) -> Load | None:
    """Where the load of the current host's engine comes from; None for the host itself.

    + settings: of the host

    Raises :class:`InvalidSettings` for a host that the inventory does not have.
    """
    if settings.bench.load_generator is None:
        return None
    inventory = state.inventory
    wrong = problem(host.name, settings.bench.load_generator, _named(inventory))
    if wrong is not None:
        raise InvalidSettings(host.name, (wrong,))
    address, port = settings.bench.engine_address, settings.vllm.port
    return Load(
        settings.bench.load_generator,
        settings.bench.load_generator_address,
        f"{in_url(settings.vllm.asked_at)}:{port}",
        None if address is None else f"http://{in_url(address)}:{port}/v1",
    )


def serves() -> bool:
    """Whether the current host serves an engine; it is said of one that only sends load.

    For the top level of a deploy. A host that others name as their load generator and that has an
    engine nevertheless is taken out of the run: its engine would be changed by nobody.

    Raises :class:`InvalidSettings` when another host's settings do not say whose load it sends.
    """
    names = _users()
    if not names:
        return True
    whose = ", ".join(names)
    if not host.get_fact(PathStates, paths=[ENGINE_QUESTION]):
        host.log(f"sends the load of {whose}: no engine here, and nothing to do", logger.info)
    else:
        exclude(
            state,
            host,
            Failure(
                Fault.SETTINGS_INVALID,
                f"{host.name} is the load generator of {whose}, and has an engine of its own, "
                "which is left as it is",
                next=Again(
                    f"name another load generator for {whose} (bench.load_generator), or remove "
                    f"this engine: rocminfra remove --limit {host.name}; then"
                ),
            ),
        )
    return False


def users() -> tuple[Settings, ...]:
    """Settings of the hosts whose load the current host sends; empty for a host with an engine.

    Raises :class:`InvalidSettings` when those of one cannot be used.
    """
    found = []
    for name in _users():
        try:
            data = state.inventory.get_host(name).data
            found.append(load_pyinfra_settings(data.dict()))  # type: ignore[no-untyped-call]
        except SettingsError as error:
            raise InvalidSettings(name, error.problems) from None
    return tuple(found)


def tell_if_unused() -> None:
    """Say of a load generator that none of the engines that it serves is in this run."""
    names = _users()
    if names and not any(one.name in names for one in state.active_hosts):
        whose = ", ".join(names)
        host.log(f"sends the load of {whose}, not in this run: nothing is measured", logger.info)


def gate(load: Load, files: tuple[str, ...]) -> None:
    """Take the engine's host out of the run when its load generator cannot be used.

    + load: where the load comes from
    + files: what of the scenario's data has to be there

    For a task's top level.
    """
    there = state.inventory.get_host(load.name)
    if there not in state.active_hosts:
        exclude(state, host, _not_in_run(load))
        return
    first = _first_user(load.name)
    if first != host.name:
        exclude(
            state,
            host,
            Failure(
                Fault.BENCHMARK_RUNNING,
                f"{load.name} sends the load of {first} in this run, and of one engine at a time",
                next=Again("one after the other", limit=host.name),
            ),
        )
        return
    missing = (
        [] if not files else sorted({*files} - {*there.get_fact(PathStates, paths=list(files))})
    )
    if missing:
        exclude(
            state,
            host,
            Failure(
                Fault.SCENARIO_DATA_MISSING,
                f"data of this scenario is not on the load generator {load.name}",
                tuple(f"there is no {path}" for path in missing),
                Again("copy it there, or correct the scenario's path, then"),
            ),
        )


def opened(run_state: State, engine: Host, job: Job, load: Load) -> None:
    """Let the engine's host use its load generator for a run.

    Raises :class:`FailedError`.
    """
    if run_state.inventory.get_host(load.name) not in run_state.active_hosts:
        raise FailedError.of(_not_in_run(load))
    there = _reached(run_state, load)
    open_link(job, HostRemote(run_state, engine), there, load.engine_at, load.target)


def closed(run_state: State, engine: Host, job: Job, load: Load) -> None:
    """Leave the load generator again when the run did not start."""
    close_link(job, HostRemote(run_state, engine), _reached(run_state, load))


def _reached(run_state: State, load: Load) -> LoadGenerator:
    there = run_state.inventory.get_host(load.name)
    address = load.address or str(there.data.get("ssh_hostname") or there.name)
    port = int(there.data.get("ssh_port") or 22)
    return LoadGenerator(load.name, address, port, remote_of(run_state, there))


def _not_in_run(load: Load) -> Failure:
    return Failure(
        Fault.LOAD_GENERATOR_UNUSABLE,
        f"the load generator {load.name} is not in this run",
        (f"it failed, or --limit does not name it: --limit {load.name} in addition",),
        Again(),
    )


def _users() -> list[str]:
    """Names of the hosts whose load the current host sends."""
    named = _named(state.inventory)
    return [name for name, its in named.items() if its == host.name and name != host.name]


def _first_user(name: str) -> str:
    """The host whose load a load generator sends in this run: the inventory's first."""
    named = _named(state.inventory)
    active = [one.name for one in state.inventory if one in state.active_hosts]
    users = (one for one in active if named[one] == name and one != name)
    return next(users, host.name)


def _named(inventory: Iterable[Host]) -> Mapping[str, str | None]:
    """The load generator that each host names.

    Raises :class:`InvalidSettings`. Whoever took a host whose name cannot be read for one without
    a load generator would have that load generator prepared as a host with an engine.
    """
    found = {}
    for one in inventory:
        try:
            found[one.name] = named_by(one.data.dict())  # type: ignore[no-untyped-call]
        except SettingsError as error:
            raise InvalidSettings(one.name, error.problems) from None
    return found
