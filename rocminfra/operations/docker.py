"""Docker with its data on the scratch disk, before any daemon could start elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pyinfra import host, state
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from rocminfra.facts.docker import (
    DockerContainerdStore,
    DockerContents,
    DockerInstalled,
    DockerOutlivers,
    DockerRoot,
    NoAnswer,
)
from rocminfra.facts.docker_configuration import DockerConfiguration
from rocminfra.facts.kept_files import KeptFiles
from rocminfra.facts.paths import PathStates
from rocminfra.facts.programs import KernelEnforcesAppArmor
from rocminfra.facts.systemd_unit import SystemdUnit
from rocminfra.failure import Again, Do, Failure, Fault
from rocminfra.host.programs import call
from rocminfra.host_paths import DOCKER_BEFORE
from rocminfra.operations import host_files, kept_files, programs
from rocminfra.operations.commands import Commands, systemctl
from rocminfra.operations.host_failures import exclude, fail, record
from rocminfra.operations.run_now import run_now
from rocminfra.planning.docker.configuration import (
    UNANSWERED,
    Decision,
    Refuse,
    Write,
    decide,
    moving,
    unmanaged,
)
from rocminfra.planning.docker.observation import DAEMON_JSON, DockerSeen
from rocminfra.planning.programs import docker as docker_need

UNIT = "docker.service"
_PACKAGE = "docker.io"
# Units that run and cannot without Docker.
_NEEDING = (
    f"for unit in $(systemctl show --property RequiredBy --value {UNIT}); do "
    'if systemctl is-active --quiet "$unit"; then echo "$unit"; fi; done'
)


def gate(data_root: str, leave_behind: bool = False, package: str = _PACKAGE) -> None:
    """Take the host out of the run when its Docker is not one to configure, or holds something.

    + data_root: where the data should be
    + leave_behind: move it although containers or volumes stay behind
    + package: what would be installed where no Docker is

    For a task's top level. Another data-root means a restart, and containers and volumes of the
    old one are out of sight and stopped from then on.
    """
    now = host.get_fact(DockerRoot)
    seen = host.get_fact(DockerConfiguration, data_root=data_root)
    if isinstance(now, NoAnswer):
        # It may be another Docker that is asked, or this one listens elsewhere.
        refused = decide(seen, data_root, package, serves=True)
        exclude(state, host, refused.failure if isinstance(refused, Refuse) else UNANSWERED)
        return
    is_there = _is_there(seen, now, data_root)
    decision = decide(seen, data_root, package, serves=is_there)
    if isinstance(decision, Refuse):
        exclude(state, host, decision.failure)
    elif is_there and _shows(decision):
        return
    elif leave_behind:
        # Those would go on without a Docker that knows them, with the GPU, say.
        outliving = host.get_fact(DockerOutlivers) if now is not None else ()
        if outliving:
            exclude(state, host, unmanaged(outliving))
    elif now is not None:
        contents = host.get_fact(DockerContents)
        if contents:
            exclude(state, host, moving(now, data_root, contents))
    elif seen.left and isinstance(decision, Write) and decision.moves:
        # Of a Docker that is stopped: its containers would not be there when it starts again.
        exclude(state, host, moving("another place", data_root, seen.left))


@operation()
def configured(
    data_root: str, files: Sequence[host_files.HostFile] = (), package: str = _PACKAGE
) -> Commands:
    """Ensure that Docker's configuration puts its data in ``data_root``; other keys in it stay.

    + data_root: absolute path
    + files: what else belongs to the configuration, such as a drop-in of the unit
    + package: what would be installed where no Docker is

    What would keep Docker from starting is refused, and so is what Docker's own program refuses
    when it is asked (since Docker 23). Of a Docker that runs, the files are kept as they were,
    until :func:`running` has seen it run with the new ones.
    """
    now = host.get_fact(DockerRoot)
    if isinstance(now, NoAnswer):
        yield fail(UNANSWERED)
        return
    seen = host.get_fact(DockerConfiguration, data_root=data_root)
    decision = decide(seen, data_root, package, serves=_is_there(seen, now, data_root))
    if isinstance(decision, Refuse):
        yield fail(decision.failure)
        return
    wanted = list(files)
    if isinstance(decision, Write):
        wanted.append(_file(decision.text))
    changes = list(host_files.present._inner(wanted))
    if not changes:
        return
    if isinstance(decision, Write):
        yield FunctionCommand(_accepted, (decision.text,), {})
        if now is not None:
            paths = [DAEMON_JSON, *(file.path for file in files)]
            # A Docker that has started since then runs with what is there now.
            unit = host.get_fact(SystemdUnit, unit=UNIT)
            started = f"{UNIT} {unit.invocation_id}" if unit is not None else UNIT
            yield kept_files.keep(DOCKER_BEFORE, started, paths)
    yield from changes
    if files:
        # NeedDaemonReload does not tell of a drop-in whose folder is new: systemd looks into the
        # folders that it knows.
        yield StringCommand("systemctl daemon-reload")


@operation()
def installed(package: str = _PACKAGE) -> Commands:
    """Ensure that some Docker is installed; one that is there already is left alone.

    + package: what to install when there is none

    Debian 13 has the ``docker`` program in a package that ``docker.io`` only recommends; what is
    recommended and needed is installed with it.
    """
    if host.get_fact(DockerInstalled) is not None:
        host.noop("Docker is installed")
        return
    apparmor = host.get_fact(KernelEnforcesAppArmor)
    yield from programs.ensure(docker_need(package, apparmor))


@operation()
def running(data_root: str) -> Commands:
    """Ensure that Docker runs with its data in ``data_root``; restarts it only when it does not.

    + data_root: absolute path, as in daemon.json

    When it does not start, the files that :func:`configured` has kept come back, and Docker with
    them; the host's run fails all the same.
    """
    unit = host.get_fact(SystemdUnit, unit=UNIT)
    if unit is not None and unit.needs_reload:
        yield StringCommand("systemctl daemon-reload")
    if unit is None or not unit.enabled:
        yield StringCommand("systemctl enable", UNIT)
    if unit is not None and unit.active_state == "active":
        now = host.get_fact(DockerRoot)
        if isinstance(now, NoAnswer):
            yield fail(UNANSWERED)
            return
        seen = host.get_fact(DockerConfiguration, data_root=data_root)
        is_proven = host.get_fact(KeptFiles, folder=DOCKER_BEFORE) is None
        if is_proven and _is_there(seen, now, data_root):
            host.noop(f"Docker runs with its data in {data_root}")
            return
    yield FunctionCommand(_restarted, (data_root,), {})


def _file(text: str) -> host_files.HostFile:
    """daemon.json, with the mode and owners that it has: a proxy's password may be in it."""
    found = host.get_fact(PathStates, paths=[DAEMON_JSON]).get(DAEMON_JSON)
    if found is None:
        return host_files.HostFile(DAEMON_JSON, text)
    # stat says this of an id without a name.
    user, group = ("root" if name == "UNKNOWN" else name for name in (found.user, found.group))
    return host_files.HostFile(DAEMON_JSON, text, mode=found.mode, user=user, group=group)


def _is_there(seen: DockerSeen, now: str | NoAnswer | None, data_root: str) -> bool:
    return isinstance(now, str) and seen.is_same_path(now, data_root)


def _shows(decision: Decision) -> bool:
    """Whether what Docker has now is still seen after the change."""
    hides = isinstance(decision, Write) and decision.hides
    return not (hides and host.get_fact(DockerContainerdStore))


def _accepted(state: State, host: Host, text: str) -> bool:
    """Ask Docker's own program about the new file; one that cannot answer does not stop the run."""
    command = f"{call('docker_look', 'validate')}; code=$?; test $code = 1 || exit 0; exit 1"
    answer = run_now(host, command, "Docker is asked about its configuration", stdin=text)
    if answer.succeeded:
        return True
    record(
        host,
        Failure(
            Fault.DOCKER_CONFIGURATION_UNFIT,
            f"Docker would not start with {DAEMON_JSON} as it has to be; nothing was changed",
            answer.err,
            Again(f"mend what Docker says in {DAEMON_JSON} on the host, then"),
        ),
    )
    return False


def _restarted(state: State, host: Host, data_root: str) -> bool:
    """Restart Docker and look where its data is; back to the kept files when that is not right."""
    # A unit that has used up its start limit does not start, whatever has been mended since.
    needing = run_now(host, _NEEDING, "Docker is restarted").out
    started = run_now(
        host,
        StringCommand(
            f"systemctl reset-failed {UNIT} 2>/dev/null;",
            systemctl("restart", UNIT).get_raw_value(),
        ),
        "Docker starts",
    )
    why = started.err
    if started.succeeded:
        now = host.get_fact(DockerRoot)
        seen = host.get_fact(DockerConfiguration, data_root=data_root)
        if _is_there(seen, now, data_root):
            return run_now(host, kept_files.drop(DOCKER_BEFORE), "Docker runs").succeeded
        why = (f"its data is in {now}" if isinstance(now, str) else "it does not answer",)
    record(host, _back(host, data_root, why, needing))
    return False


def _back(host: Host, data_root: str, why: tuple[str, ...], needing: tuple[str, ...]) -> Failure:
    """Return to the kept files; what the run fails with.

    + needing: units that a start of Docker that fails has taken down with it, such as an engine
    """
    failure = Failure(
        Fault.DOCKER_DOES_NOT_RUN,
        f"Docker does not run with its data in {data_root}",
        why[-20:],
        Do(f"on the host: journalctl -u {UNIT}; mend {DAEMON_JSON} or the unit, then run again"),
    )
    if host.get_fact(KeptFiles, folder=DOCKER_BEFORE) is None:
        return failure
    steps = (
        kept_files.restore(DOCKER_BEFORE).get_raw_value(),
        "systemctl daemon-reload",
        f"{{ systemctl reset-failed {UNIT} 2>/dev/null || true; }}",
        f"systemctl restart {UNIT}",
        "timeout 30 docker version >/dev/null",
        kept_files.drop(DOCKER_BEFORE).get_raw_value(),
        # Docker runs, and that is what counts here: what fails to start says so itself.
        *([f"{{ systemctl start --no-block {shlex.join(needing)} || true; }}"] if needing else []),
    )
    answer = run_now(host, " && ".join(steps), "Docker starts as it was before")
    if answer.succeeded:
        what = f"{failure.what}; its configuration from before is back, and it runs with that"
        return Failure(failure.fault, what, failure.why, failure.next)
    what = f"{failure.what}, and not with its configuration from before either"
    return Failure(failure.fault, what, (*failure.why, *answer.err[-10:]), failure.next)
