"""Docker with its data on the scratch disk, before any daemon could start elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyinfra import host, state
from pyinfra.api import StringCommand, operation

from rocminfra.facts.docker import DockerContents, DockerInstalled, DockerRoot, NoAnswer
from rocminfra.facts.file_contents import FileContents
from rocminfra.facts.paths import PathStates
from rocminfra.facts.systemd_unit import SystemdUnit
from rocminfra.failure import Again, Argument, Do, ExitCode, Failure
from rocminfra.operations import host_files, packages
from rocminfra.operations.commands import Commands, systemctl
from rocminfra.operations.host_failures import exclude, fail

DAEMON_JSON = "/etc/docker/daemon.json"
UNANSWERED = Failure(
    ExitCode.UNFIT,
    "Docker runs on this host and does not answer",
    next=Do("on the host: journalctl -u docker.service, then systemctl restart docker.service"),
)


def gate(data_root: str, leave_behind: bool = False) -> None:
    """Take the host out of the run when moving Docker's data would hide somebody's containers.

    + data_root: where the data should be
    + leave_behind: move it although containers or volumes stay behind

    For a task's top level. Another data-root means a restart, and containers and volumes of the
    old one are out of sight and stopped from then on.
    """
    now = host.get_fact(DockerRoot)
    if isinstance(now, NoAnswer):
        exclude(state, host, UNANSWERED)
        return
    if now is None or now == data_root or leave_behind:
        return
    contents = host.get_fact(DockerContents)
    if not contents:
        return
    exclude(
        state,
        host,
        Failure(
            ExitCode.REFUSED,
            f"Docker's data is in {now}, with containers or volumes that moving it to {data_root} "
            "would stop and hide",
            contents[:10],
            Again(
                "remove them on the host (docker rm -f NAME, docker volume rm NAME), or leave "
                "them behind",
                arguments=((Argument("docker", "leave_behind"), "true"),),
            ),
        ),
    )


@operation()
def daemon_config(values: Mapping[str, object]) -> Commands:
    """Ensure that ``/etc/docker/daemon.json`` holds these values; other keys in it stay.

    + values: keys of daemon.json and what they should be; of an object, only the keys given

    A file that is not a JSON object is refused, because Docker would not start with it either.
    """
    lines: list[str] = host.get_fact(FileContents, path=DAEMON_JSON)
    text = "\n".join(lines).strip()
    try:
        current = json.loads(text) if text else {}
    except ValueError as error:
        current = error
    if not isinstance(current, dict):
        yield fail(
            Failure(
                ExitCode.UNFIT,
                f"{DAEMON_JSON} is not a JSON object",
                (str(current),),
                Again(f"repair or remove {DAEMON_JSON} on the host, then"),
            )
        )
        return
    merged = {**current, **{key: _merged(current.get(key), values[key]) for key in values}}
    if merged == current:
        host.noop("Docker's configuration is as it should be")
        return
    text = json.dumps(merged, indent=2, sort_keys=True) + "\n"
    # Its mode stays: a proxy's password may be in it.
    found = host.get_fact(PathStates, paths=[DAEMON_JSON]).get(DAEMON_JSON)
    file = host_files.HostFile(DAEMON_JSON, text, mode=found.mode if found else 0o644)
    yield from host_files.present._inner([file])


@operation()
def installed(package: str = "docker.io") -> Commands:
    """Ensure that some Docker is installed; one that is there already is left alone.

    + package: what to install when there is none
    """
    if host.get_fact(DockerInstalled) is not None:
        host.noop("Docker is installed")
        return
    yield from packages.present._inner([package])


@operation()
def running(data_root: str) -> Commands:
    """Ensure that Docker runs with its data in ``data_root``; restarts it only when it does not.

    + data_root: absolute path, as in daemon.json
    """
    unit = host.get_fact(SystemdUnit, unit="docker.service")
    if unit is not None and unit.needs_reload:
        yield StringCommand("systemctl daemon-reload")
    if unit is None or not unit.enabled:
        yield StringCommand("systemctl enable docker.service")
    if unit is not None and unit.active_state == "active":
        now = host.get_fact(DockerRoot)
        if isinstance(now, NoAnswer):
            yield fail(UNANSWERED)
            return
        if now == data_root:
            host.noop(f"Docker runs with its data in {data_root}")
            return
        yield systemctl("restart", "docker.service")
        return
    # A unit that has used up its start limit does not start, whatever has been mended since.
    yield StringCommand("systemctl reset-failed docker.service 2>/dev/null || true")
    yield systemctl("start", "docker.service")


def _merged(current: object, wanted: object) -> object:
    if isinstance(current, dict) and isinstance(wanted, dict):
        return {**current, **wanted}
    return wanted
