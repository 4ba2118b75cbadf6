"""State of every droplet, as data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from rocminfra.failure import FailedError
from rocminfra.lab import container, droplet_record, processes
from rocminfra.lab.paths import LabPaths


@dataclass(frozen=True)
class DropletStatus:
    """How a droplet is.

    + name: its name
    + state: ``up``, ``booting`` (its system runs, no SSH answers) or ``dead`` (left over)
    + address: where SSH is; None when its record cannot be read
    + release: codename of its Debian or Ubuntu
    + disk: its scratch disk and the size of it, GiB
    + time_scale: how much faster than real ones its engine and GPU are
    + created: UTC time, ISO 8601
    """

    name: str
    state: str
    address: str | None
    release: str | None
    disk: str | None
    time_scale: float | None
    created: str | None

    def as_data(self) -> dict[str, object]:
        return dataclasses.asdict(self)


def read(paths: LabPaths) -> tuple[DropletStatus, ...]:
    """Status of every droplet that has a folder."""
    running = processes.running(paths)
    return tuple(_one(paths, name, name in running) for name in droplet_record.names(paths))


def _one(paths: LabPaths, name: str, runs: bool) -> DropletStatus:
    try:
        droplet = droplet_record.load(paths, name)
    except FailedError:
        return DropletStatus(name, "dead", None, None, None, None, None)
    state = "dead"
    if runs:
        state = "up" if container.answers(droplet.address) else "booting"
    disk = f"/dev/vdc ({droplet.disk_gib} GiB)"
    return DropletStatus(
        name,
        state,
        droplet.address,
        droplet.release,
        disk,
        droplet.time_scale,
        droplet.created,
    )
