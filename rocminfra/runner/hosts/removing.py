"""Take away from hosts what their record says that rocminfra made there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pyinfra.api.host import Host

from rocminfra.failure import Again, FailedError, Failure, Fault
from rocminfra.planning.removal import Record, Removal, Seen, Step, decide
from rocminfra.runner.hosts.asking import Answered, ask_in
from rocminfra.runner.hosts.streaming import streamed
from rocminfra.runner.run.execution import CONNECTION_LOST
from rocminfra.runner.run.host_lock import new_lock
from rocminfra.runner.run.host_record import ask_record
from rocminfra.runner.run.session import Session


def plan_removal(session: Session, host: Host, with_runs: bool) -> Removal:
    """What would be taken away from a host, and what stays; raises :class:`FailedError`."""
    decided = decide(seen_of(ask_record(session.state, host, "look")), with_runs)
    if isinstance(decided, Failure):
        raise FailedError.of(decided)
    return decided


def remove(
    session: Session,
    plans: Mapping[str, Removal],
    with_runs: bool,
    say: Callable[[str, Step], None],
) -> tuple[Answered[Removal], ...]:
    """Take the steps of the plans, on hosts that are as they were planned for.

    + plans: by host, what somebody has agreed to
    + say: told of each step that was taken, and on which host

    A host's lock is held meanwhile, and its book says what was done.
    """
    hosts = [host for host in session.active if host.name in plans]
    lock = new_lock(session.request.command)
    lock.take(session.state, hosts)
    held = [host for host in hosts if host in session.state.active_hosts]
    ends: dict[str, dict[str, Any]] = {}

    def act(session: Session, host: Host, _settings: object) -> Removal:
        planned = plans[host.name]
        end = ends[host.name] = {"outcome": "interrupted", "changed": [], "failures": []}
        try:
            if plan_removal(session, host, with_runs) != planned:
                raise FailedError(
                    Fault.CHANGED_SINCE_PLAN,
                    f"{host.name} has changed since the plan; nothing was removed",
                    next=Again(),
                )
            for number in _taken(session, host, planned):
                say(host.name, planned.steps[number])
                end["changed"].append(planned.steps[number].words)
        except FailedError as error:
            end |= {"outcome": "failed", "failures": [error.failure.what]}
            raise
        end["outcome"] = "done"
        return planned

    try:
        return ask_in(session, act, "Remove")
    finally:
        lock.free(session.state, held, lambda host: ends.get(host.name, {"outcome": "interrupted"}))


def seen_of(answer: Mapping[str, Any]) -> Seen:
    """What the program on the host saw, as planning takes it."""
    return Seen(
        record=_record_of(answer["record"], answer["mount_point"]),
        files=answer["files"],
        trees=frozenset(answer["trees"]),
        packages=frozenset(answer["packages"]),
        purged=None if answer["purged"] is None else frozenset(answer["purged"]),
        docker=answer["docker"],
        old_root=answer["old_root"],
        containers=None if answer["containers"] is None else tuple(answer["containers"]),
        volumes=None if answer["volumes"] is None else tuple(answer["volumes"]),
        mounted=answer["mounted"],
        below=tuple(answer["below"]),
        fstab_lines=tuple(answer["fstab_lines"]),
        at_work=tuple(answer["at_work"]),
        runs=tuple(answer["runs"]),
        state=answer["state"],
        load_user=answer["user"],
    )


def _record_of(record: Mapping[str, Any] | None, place: str) -> Record | None:
    if record is None:
        return None
    if "mount_point" not in record:  # begun, and never updated: the first apply was cut off
        return _with_before(Record(mount_point=place), record["before"])
    return _with_before(
        Record(
            files=record["files"],
            fstab_line=record["fstab_line"],
            mount_point=record["mount_point"],
            container=record["container"],
            image=record["image"],
        ),
        record["before"],
    )


def _with_before(record: Record, before: Mapping[str, Any]) -> Record:
    settings = {name: value for name, value in before["settings"].items() if value is not None}
    return Record(
        frozenset(before["paths"]),
        before["docker"],
        before["fstab"],
        before["mount"],
        record.files,
        record.fstab_line,
        record.mount_point,
        record.container,
        record.image,
        settings,
    )


def _taken(session: Session, host: Host, planned: Removal) -> Iterator[int]:
    """Numbers of the steps as they are taken."""
    steps = [{"kind": step.kind.value, **step.arguments} for step in planned.steps]
    what = f"{host.name}: the removal stopped; what was not removed is as it was"
    request = json.dumps({"steps": steps})
    program = ("remove_made", request, Fault.REMOVAL_STOPPED, what)
    done = 0
    try:
        for line in streamed(session.state, host, *program):
            answer = json.loads(line)
            if "why" in answer:
                step = planned.steps[answer["step"]]
                why = (session.redact.text(answer["why"]), f"while it was to {step.words}")
                raise FailedError(Fault.REMOVAL_STOPPED, what, why, Again())
            done += 1
            yield answer["step"]
    except CONNECTION_LOST as error:
        what = f"{host.name}: the connection was lost during the removal"
        raise FailedError(Fault.CONNECTION_LOST, what, (str(error),), Again()) from error
    if done != len(steps):
        raise FailedError(Fault.REMOVAL_STOPPED, what, ("it ended early",), Again())
