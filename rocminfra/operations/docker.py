"""Docker with its data on the scratch disk, before any daemon could start elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyinfra import host
from pyinfra.api import StringCommand, operation
from pyinfra.facts.files import FileContents

from rocminfra.facts.docker import DockerInstalled, DockerRoot
from rocminfra.facts.systemd_unit import SystemdUnit
from rocminfra.operations import host_files, packages
from rocminfra.operations.commands import Commands, systemctl
from rocminfra.operations.failure import Failure, FailureKind, fail

DAEMON_JSON = "/etc/docker/daemon.json"


@operation()
def daemon_config(values: Mapping[str, object]) -> Commands:
    """Ensure that ``/etc/docker/daemon.json`` holds these values; other keys in it stay.

    + values: keys of daemon.json and what they should be

    A file that is not a JSON object is refused, because Docker would not start with it either.
    """
    text = "\n".join(host.get_fact(FileContents, path=DAEMON_JSON) or []).strip()
    try:
        current = json.loads(text) if text else {}
    except ValueError as error:
        current = error
    if not isinstance(current, dict):
        yield fail(
            Failure(
                FailureKind.UNFIT,
                f"{DAEMON_JSON} is not a JSON object",
                why=(str(current),),
                next_command=f"mend or remove {DAEMON_JSON} on the host, then run this again",
            )
        )
        return
    merged = {**current, **values}
    if merged == current:
        host.noop("Docker's configuration is as it should be")
        return
    text = json.dumps(merged, indent=2, sort_keys=True) + "\n"
    yield from host_files.present._inner([host_files.HostFile(DAEMON_JSON, text)])


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
        if host.get_fact(DockerRoot) == data_root:
            host.noop(f"Docker runs with its data in {data_root}")
            return
        yield systemctl("restart", "docker.service")
        return
    # A unit that has used up its start limit does not start, whatever has been mended since.
    yield StringCommand("systemctl reset-failed docker.service 2>/dev/null || true")
    yield systemctl("start", "docker.service")
