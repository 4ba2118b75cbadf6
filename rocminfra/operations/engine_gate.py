"""Whether the engine's unit is one to write: somebody's own of that name is left alone."""

from __future__ import annotations

from pyinfra import host, state

from rocminfra.facts.docker import Container, DockerContainer
from rocminfra.facts.file_contents import FileContents
from rocminfra.facts.fresh_host import FreshHost
from rocminfra.facts.systemd_unit import SystemdUnit, Unit, UnitCommand, UnitOverrides
from rocminfra.failure import Again, Argument, Do, Failure, Fault
from rocminfra.host_paths import ENGINE_QUESTION, UNITS
from rocminfra.operations.host_failures import exclude
from rocminfra.planning.engine_command import CONFIG_LABEL


def gate(unit: str, container: str, port: int | None = None) -> None:
    """Take the host out of the run when a unit of this name is somebody's, or changed by them, or
    when somebody has the engine's port.

    + unit: name of the unit, such as ``vllm.service``
    + container: name of the container that it runs
    + port: that the engine is to serve at; None where another one may have it

    For a task's top level. A unit that rocminfra has written has its question beside it, starts a
    container with its label, or runs one; another may serve, and is not ours to replace. A drop-in
    that replaces the command would make each run restart an engine that never is the declared one.
    """
    found = host.get_fact(SystemdUnit, unit=unit)
    taken = None if port is None else _port_problem(found, unit, container, port)
    if found is None or found.load_state == "not-found":
        if taken is not None:
            exclude(state, host, taken)
        return
    overrides = host.get_fact(UnitOverrides, unit=unit)
    if found.load_state == "masked":
        exclude(state, host, _masked(unit))
    elif overrides:
        exclude(state, host, _overridden(unit, overrides))
    elif not (
        host.get_fact(FileContents, path=ENGINE_QUESTION)
        or _starts_labelled(unit)
        or _is_labelled(container)
    ):
        exclude(state, host, _somebodys(unit, found.active_state))
    elif taken is not None:
        exclude(state, host, taken)


def _port_problem(found: Unit | None, unit: str, container: str, port: int) -> Failure | None:
    """Why the engine cannot have its port, or None: an engine that serves is not stopped for one
    that would find it taken."""
    seen = host.get_fact(FreshHost)
    if port not in seen.listening:
        return None
    if found is not None and found.active_state not in ("inactive", "failed"):
        declared = host.get_fact(UnitCommand, unit=unit)
        # Where it does not listen at its own, as while it loads or after a run that was cut off
        # between its new unit and its start, the port may be the running engine's.
        listens = any(f"--port={taken}" in declared for taken in seen.listening)
        is_ours = f"--port={port}" in declared or not listens
    else:
        # What a killed client has left of it; the unit removes that before it starts.
        is_ours = any(
            one.name == container and CONFIG_LABEL in one.labels for one in seen.containers
        )
    if is_ours:
        return None
    return Failure(
        Fault.PORT_TAKEN,
        f"another program listens on port {port}, which the engine needs; nothing was changed",
        next=Do(
            f"on the host: ss -ltnp 'sport = :{port}' names it; stop it, or set ",
            Argument("engine", "port"),
        ),
    )


def _starts_labelled(unit: str) -> bool:
    """Whether the command of the unit gives its container our label; it need not run for that."""
    command = host.get_fact(UnitCommand, unit=unit)
    is_container = command[:2] == ("/usr/bin/docker", "run")
    return is_container and any(word.startswith(f"--label={CONFIG_LABEL}=") for word in command)


def _is_labelled(container: str) -> bool:
    found = host.get_fact(DockerContainer, container=container)
    return isinstance(found, Container) and found.label(CONFIG_LABEL) is not None


def _masked(unit: str) -> Failure:
    return Failure(
        Fault.ENGINE_UNIT_NOT_OURS,
        f"{unit} is masked on this host: someone does not want it to start",
        next=Again(f"on the host, systemctl unmask {unit}, when that is wanted no longer, then"),
    )


def _overridden(unit: str, paths: tuple[str, ...]) -> Failure:
    return Failure(
        Fault.ENGINE_UNIT_NOT_OURS,
        f"a drop-in of {unit} replaces what the engine is started with; nothing was changed",
        paths,
        Again(
            f"move its lines into the settings (vllm.extra_args, engine.environment), remove it "
            f"({paths[0]}), run systemctl daemon-reload, then"
        ),
    )


def _somebodys(unit: str, active: str) -> Failure:
    kept = f"/root/{unit}.before"
    return Failure(
        Fault.ENGINE_UNIT_NOT_OURS,
        f"there is a {unit} on this host that rocminfra did not write, and it is {active}; it was "
        "left alone",
        (f"systemctl cat {unit} shows it",),
        Again(
            f"when this engine may take its place, on the host: systemctl disable --now {unit}; "
            f"mv {UNITS}/{unit} {kept}; systemctl daemon-reload; then"
        ),
    )
