"""Which host of the inventory sends the load of which engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyinfra import host, state
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.bench.job import Job
from rocminfra.bench.link import LoadGenerator, open_link
from rocminfra.facts.paths import PathStates
from rocminfra.failure import Again, FailedError, Failure, Fault
from rocminfra.operations.bench_remote import HostRemote, remote_of
from rocminfra.operations.host_failures import exclude
from rocminfra.operations.host_settings import InvalidSettings
from rocminfra.settings import Settings
from rocminfra.settings.addresses import in_url
from rocminfra.settings.load import load_pyinfra_settings
from rocminfra.settings.load_generators import problem
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


def users() -> tuple[Settings, ...]:
    """Settings of the hosts whose load the current host sends; empty for a host with an engine."""
    found = _settings(state.inventory)
    return tuple(
        settings
        for name, settings in found.items()
        if name != host.name and settings.bench.load_generator == host.name
    )


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
    there = run_state.inventory.get_host(load.name)
    if there not in run_state.active_hosts:
        raise FailedError.of(_not_in_run(load))
    address = load.address or str(there.data.get("ssh_hostname") or there.name)
    port = int(there.data.get("ssh_port") or 22)
    open_link(
        job,
        HostRemote(run_state, engine),
        LoadGenerator(load.name, address, port, remote_of(run_state, there)),
        load.engine_at,
        load.target,
    )


def _not_in_run(load: Load) -> Failure:
    return Failure(
        Fault.LOAD_GENERATOR_UNUSABLE,
        f"the load generator {load.name} is not in this run",
        (f"it failed, or --limit does not name it: --limit {load.name} in addition",),
        Again(),
    )


def _named(inventory: object) -> Mapping[str, str | None]:
    return {name: settings.bench.load_generator for name, settings in _settings(inventory).items()}


def _settings(inventory: object) -> dict[str, Settings]:
    found = {}
    for one in inventory:  # type: ignore[attr-defined]
        try:
            found[one.name] = load_pyinfra_settings(one.data.dict())
        except SettingsError:
            # Said of that host, if it is in the run.
            found[one.name] = Settings()
    return found
